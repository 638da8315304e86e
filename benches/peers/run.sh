#!/bin/sh
# Lets all cells take turns and prints one table. Needs rights for SCHED_FIFO and locked memory.
#   ./run.sh [ROUNDS] [CYCLES at 1 kHz] [CYCLES flat out]
# The lines of all cells, as JSON, stay in results.jsonl.
set -eu
cd "$(dirname "$0")"
rounds=${1:-3} paced=${2:-8000} flat=${3:-50000}
target=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR="$target"
cargo build --release --locked --features tuned
cp "$target/release/sinew-peers" "$target/release/sinew-peers-tuned"
cargo build --release --locked
results=${RESULTS:-$PWD/results.jsonl}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
: > "$results"
uptime
cell() { # program, who, pace, class, cycles
    "$target/release/$1" "$2" "$3" "$4" "$5" "$logs/log" >> "$results"
    rm -rf "$logs/log"
}
round=0
while [ "$round" -lt "$rounds" ]; do
    # Forwards and backwards in turn, so that nobody always follows the same one.
    order="sinew copper tuned"
    [ $((round % 2)) -eq 0 ] || order="tuned copper sinew"
    for class in fifo other; do
        for pace in 1khz flat; do
            cycles=$paced
            [ "$pace" = 1khz ] || cycles=$flat
            for who in $order; do
                case $who in
                    tuned) cell sinew-peers-tuned copper "$pace" "$class" "$cycles" ;;
                    *) cell sinew-peers "$who" "$pace" "$class" "$cycles" ;;
                esac
            done
        done
    done
    round=$((round + 1))
done
uptime
"$target/release/sinew-peers" table "$results"
echo
"$target/release/sinew-peers" targets
