//! Serial ports, network and CAN interfaces.

use super::check::{Area, Check, Verdict};
use super::system::System;

const AREA: Area = Area::Devices;
const NET: &str = "sys/class/net";

/// `ARPHRD_ETHER` and `ARPHRD_CAN` of `linux/if_arp.h`, as in `/sys/class/net/*/type`.
const ETHERNET: i64 = 1;
const CAN: i64 = 280;

/// The queue length that CAN interfaces come with.
const SHORT_QUEUE: i64 = 10;

pub(super) fn checks(system: &System) -> Vec<Check> {
    let mut checks = serial_ports(system);
    checks.extend(network(system));
    checks.extend(can(system));
    checks
}

fn serial_ports(system: &System) -> Vec<Check> {
    // USB adapters, USB devices of the class CDC-ACM, and the ports of ARM boards. Other ports
    // (ttyS) exist on every PC, whether anything is behind them or not.
    let kinds = ["ttyUSB", "ttyACM", "ttyAMA", "ttyTHS"];
    let ports: Vec<String> =
        kinds.into_iter().flat_map(|kind| system.names("sys/class/tty", kind)).collect();
    if ports.is_empty() {
        return vec![Check::ok(AREA, "serial ports", "none")];
    }
    ports.iter().map(|port| serial_port(system, port)).collect()
}

fn serial_port(system: &System, port: &str) -> Check {
    let driver = system
        .link_name(&format!("sys/class/tty/{port}/device/driver"))
        .unwrap_or_else(|| "driver unknown".to_owned());
    // Adapters by FTDI collect bytes for this long before they hand them over.
    let path = format!("sys/bus/usb-serial/devices/{port}/latency_timer");
    let latency = system.number(&path);
    let timer = latency.map_or_else(String::new, |ms| format!(", latency timer {ms} ms"));
    let found = format!("{driver}{timer}");
    if !system.may_use(&format!("dev/{port}")) {
        return Check::other(
            AREA,
            port,
            Verdict::Bad,
            format!("{found}; this user may not open /dev/{port}"),
            "a udev rule with GROUP=\"robot\" (docs/real-time.md), or add the user to the \
             device's group",
        );
    }
    match latency {
        Some(ms) if ms > 1 => Check::other(
            AREA,
            port,
            Verdict::Warn,
            format!("{found}: each answer may wait that long"),
            format!("echo 1 > /{path}, for good with the udev rule in docs/real-time.md"),
        ),
        _ => Check::ok(AREA, port, found),
    }
}

/// The device that `robot.port` names.
pub(super) fn robot_port(system: &System, port: &str) -> Check {
    const NAME: &str = "robot.port";
    let path = port.trim_start_matches('/');
    if !system.exists(path) {
        let remedy = "connect and power the robot, or set robot.port: sinew list shows the ports";
        return Check::other(AREA, NAME, Verdict::Bad, format!("{port} is not there"), remedy);
    }
    if !system.may_use(path) {
        return Check::other(
            AREA,
            NAME,
            Verdict::Bad,
            format!("this user may not open {port}"),
            "a udev rule with GROUP=\"robot\" (docs/real-time.md), or add the user to the \
             device's group",
        );
    }
    Check::ok(AREA, NAME, port.to_owned())
}

fn network(system: &System) -> Vec<Check> {
    let checks: Vec<Check> = interfaces(system, ETHERNET)
        .iter()
        .filter(|name| system.exists(&format!("{NET}/{name}/device")))
        .map(|name| {
            let driver = system
                .link_name(&format!("{NET}/{name}/device/driver"))
                .unwrap_or_else(|| "driver unknown".to_owned());
            let state = state(system, name);
            // The kernel writes −1 where a link has no speed, and refuses where it is down.
            let speed = system.number(&format!("{NET}/{name}/speed")).filter(|speed| *speed > 0);
            let speed = speed.map_or_else(String::new, |speed| format!(", {speed} Mb/s"));
            if system.exists(&format!("{NET}/{name}/wireless")) {
                let found = format!("{driver}, {state}, wireless");
                let remedy = "connect a robot that sets the pace by cable";
                return Check::other(AREA, name, Verdict::Warn, found, remedy);
            }
            Check::other(
                AREA,
                name,
                Verdict::Unknown,
                format!("{driver}, {state}{speed}; interrupt coalescing not readable"),
                format!("ethtool -c {name}; for a robot that sets the pace: ethtool -C {name} rx-usecs 0"),
            )
        })
        .collect();
    if checks.is_empty() { vec![Check::ok(AREA, "network", "no network card")] } else { checks }
}

fn can(system: &System) -> Vec<Check> {
    let checks: Vec<Check> = interfaces(system, CAN)
        .iter()
        .map(|name| {
            let flags = system.text(&format!("{NET}/{name}/flags")).unwrap_or_default();
            let queue = system.number(&format!("{NET}/{name}/tx_queue_len"));
            let length = queue.map_or_else(|| "unknown".to_owned(), |queue| queue.to_string());
            let found = format!("{}, queue {length}, bitrate not readable", state(system, name));
            if is_up(&flags) == Some(false) {
                return Check::other(
                    AREA,
                    name,
                    Verdict::Warn,
                    found,
                    format!("ip link set {name} up type can bitrate 1000000"),
                );
            }
            if queue.is_some_and(|queue| queue <= SHORT_QUEUE) {
                return Check::other(
                    AREA,
                    name,
                    Verdict::Warn,
                    format!("{found}: a burst may not fit (ENOBUFS)"),
                    format!(
                        "ip link set {name} txqueuelen 128; bitrate: ip -details link show {name}"
                    ),
                );
            }
            let remedy = format!("bitrate and error state: ip -details link show {name}");
            Check::other(AREA, name, Verdict::Unknown, found, remedy)
        })
        .collect();
    if checks.is_empty() { vec![Check::ok(AREA, "CAN", "no interface")] } else { checks }
}

/// Interfaces of a hardware type, but for the loopback.
fn interfaces(system: &System, kind: i64) -> Vec<String> {
    let mut names = system.names(NET, "");
    names.retain(|name| system.number(&format!("{NET}/{name}/type")) == Some(kind));
    names
}

/// `up` or `down` by the operational state, which some drivers leave unknown, else by the flags.
fn state(system: &System, name: &str) -> String {
    let state = system.text(&format!("{NET}/{name}/operstate")).unwrap_or_default();
    if !state.is_empty() && state != "unknown" {
        return state;
    }
    match is_up(&system.text(&format!("{NET}/{name}/flags")).unwrap_or_default()) {
        Some(true) => "up".to_owned(),
        Some(false) => "down".to_owned(),
        None => "state unknown".to_owned(),
    }
}

/// `IFF_UP` in the flags, which the kernel writes in hexadecimal.
fn is_up(flags: &str) -> Option<bool> {
    let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
    Some(flags & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::system::fake::Fake;
    use super::*;

    #[test]
    fn a_latency_timer_of_16_ms_is_seen_and_mended() {
        let fake = Fake::new()
            .file("sys/class/tty/ttyUSB0/x", "")
            .link("sys/class/tty/ttyUSB0/device/driver", "../../drivers/ftdi_sio")
            .file("sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "16\n")
            .file("dev/ttyUSB0", "")
            .file("sys/class/tty/ttyACM0/x", "")
            .file("sys/class/tty/ttyS0/x", "");
        let checks = serial_ports(&fake.system());
        assert_eq!(checks.len(), 2);
        assert_eq!(checks[0].verdict, Verdict::Warn);
        assert!(checks[0].found.starts_with("ftdi_sio, latency timer 16 ms"), "{:?}", checks[0]);
        assert!(checks[0].remedy.as_deref().unwrap().contains("latency_timer"));
        // ttyACM0 has no node in /dev here, so nobody may open it.
        assert_eq!(checks[1].verdict, Verdict::Bad);
        let fake = fake.file("sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "1\n");
        assert_eq!(serial_ports(&fake.system())[0].verdict, Verdict::Ok);
    }

    #[test]
    fn cards_are_listed_without_loopback_and_bridges() {
        let fake = Fake::new()
            .file("sys/class/net/lo/type", "772\n")
            .file("sys/class/net/docker0/type", "1\n")
            .file("sys/class/net/eno1/type", "1\n")
            .file("sys/class/net/eno1/operstate", "up\n")
            .file("sys/class/net/eno1/speed", "1000\n")
            .link("sys/class/net/eno1/device/driver", "../drivers/igc")
            .file("sys/class/net/wlan0/type", "1\n")
            .file("sys/class/net/wlan0/device/x", "")
            .file("sys/class/net/wlan0/wireless/x", "")
            .file("sys/class/net/wlan0/operstate", "down\n");
        let checks = network(&fake.system());
        assert_eq!(checks.len(), 2);
        assert!(checks[0].found.starts_with("igc, up, 1000 Mb/s;"), "{:?}", checks[0]);
        assert_eq!(checks[0].verdict, Verdict::Unknown);
        assert_eq!(checks[1].verdict, Verdict::Warn);
        assert!(checks[1].found.ends_with("down, wireless"));
    }

    #[test]
    fn can_interfaces_are_known_by_their_type() {
        let fake = Fake::new()
            .file("sys/class/net/can0/type", "280\n")
            .file("sys/class/net/can0/operstate", "unknown\n")
            .file("sys/class/net/can0/flags", "0x40081\n")
            .file("sys/class/net/can0/tx_queue_len", "10\n")
            .file("sys/class/net/can1/type", "280\n")
            .file("sys/class/net/can1/operstate", "down\n")
            .file("sys/class/net/can1/flags", "0x40080\n");
        let checks = can(&fake.system());
        assert!(checks[0].found.starts_with("up, queue 10"), "{:?}", checks[0]);
        assert!(checks[0].remedy.as_deref().unwrap().contains("txqueuelen 128"));
        assert!(checks[1].found.starts_with("down, queue unknown"));
        let fake = fake.file("sys/class/net/can0/tx_queue_len", "128\n");
        assert_eq!(can(&fake.system())[0].verdict, Verdict::Unknown);
    }

    #[test]
    fn a_computer_without_devices_is_fine() {
        let checks = checks(&Fake::new().system());
        assert_eq!(checks.len(), 3);
        assert!(checks.iter().all(|check| check.verdict == Verdict::Ok));
    }
}
