//! Units of measure: from UCUM to the words in Prometheus names.

/// The word that `opentelemetry-prometheus` appends to the name of a metric
/// with this UCUM unit, as in `_seconds` for `s`. `None` for annotations such
/// as `{user}`, for units that it does not know, and for `1`, which none of our
/// metrics has: on every kind of instrument it would become `_ratio`.
///
/// The word is appended even where the name ends with it already, so an
/// instrument must not be called `x.seconds`: it would become
/// `x_seconds_seconds`.
///
/// A compound of two words, such as `By/s` (`bytes_per_second`), is not known
/// here: OpenMetrics then merely lacks its `# UNIT` line.
#[must_use]
pub fn unit_word(ucum: &str) -> Option<&'static str> {
    WORDS.iter().find(|(unit, _)| *unit == ucum).map(|(_, word)| *word).or_else(|| per(ucum))
}

const WORDS: [(&str, &str); 30] = [
    // Time
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("min", "minutes"),
    ("h", "hours"),
    ("d", "days"),
    // Sizes; not all of these are UCUM, but all of them are in use.
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    // Misspelt at its source, and so in the name that a unit has to match.
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("B", "bytes"),
    ("KB", "kilobytes"),
    ("MB", "megabytes"),
    ("GB", "gigabytes"),
    ("TB", "terabytes"),
    // Physics
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// Rates of things that have no word of their own, such as `{request}/s`.
/// Times count as such on this side of the slash.
fn per(ucum: &str) -> Option<&'static str> {
    let (what, time) = ucum.split_once('/')?;
    let is_time = matches!(what, "d" | "h" | "min" | "s" | "ms" | "us" | "ns");
    if !is_time && WORDS.iter().any(|(unit, _)| *unit == what) {
        return None;
    }
    Some(match time {
        "s" => "per_second",
        "m" => "per_minute",
        "h" => "per_hour",
        "d" => "per_day",
        "w" => "per_week",
        "mo" => "per_month",
        "y" => "per_year",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::{WORDS, unit_word};

    /// The table is ours; the suffixes are the exporter crate's.
    #[test]
    fn unit_words_are_the_suffixes_that_the_exporter_appends() {
        let others = "{user}  y seconds 1/s {request}/s x/m x/h x/d x/w x/mo s/y x/x {a}/{b}";
        let units: Vec<_> = WORDS.iter().map(|(unit, _)| *unit).chain(others.split(' ')).collect();
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(exporter.expect("exporter")).build();
        let meter = provider.meter("units");
        for (i, unit) in units.iter().enumerate() {
            meter.u64_gauge(format!("m{i}")).with_unit(*unit).build().record(1, &[]);
        }
        let gathered = registry.gather();
        for (i, unit) in units.iter().enumerate() {
            let name = unit_word(unit).map_or(format!("m{i}"), |word| format!("m{i}_{word}"));
            assert!(gathered.iter().any(|family| family.name() == name), "{unit}: no family {name}");
        }
        assert_eq!(unit_word("1"), None, "none of our metrics has this unit");
        assert_eq!(unit_word("By/s"), None, "compounds are not known");
    }
}
