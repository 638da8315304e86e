//! "Did you mean".

/// The candidate that `word` was probably meant to be.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    // Distances grow with the product of the lengths; nobody misspells that much.
    if length == 0 || length > 100 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        let distance = strsim::damerau_levenshtein(&word, &lower);
        let allowed = (length.max(lower.chars().count()) + 1) / 3;
        // A unit left out or added (`rate`, `rate_hz`) is the usual slip, however long.
        let contained = length >= 3 && (lower.starts_with(&word) || word.starts_with(&lower));
        if (distance <= allowed || contained) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["rate_hz", "duration_s", "max_velocity_rad_s", "name"];
        assert_eq!(closest("rate", keys), Some("rate_hz"));
        assert_eq!(closest("rate_Hz", keys), Some("rate_hz"));
        assert_eq!(closest("max_step_deg", ["max_step", "max_step_rad"]), Some("max_step_rad"));
        assert_eq!(closest("duraton_s", keys), Some("duration_s"));
        assert_eq!(closest("max_velocity_deg_s", keys), Some("max_velocity_rad_s"));
        assert_eq!(closest("zzz", keys), None);
        assert_eq!(closest("", keys), None);
        assert_eq!(closest(&"rate_hz".repeat(100), keys), None);
    }
}
