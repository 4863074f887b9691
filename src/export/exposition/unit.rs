//! Units of measure: from UCUM to the words in Prometheus names.

/// The word that `opentelemetry-prometheus` appends to the name of a metric with this
/// UCUM unit, such as `_seconds` for `s`. Returns `None` for annotations such as
/// `{user}`, for unknown units, and for `1`. None of our metrics has the unit `1`,
/// which would become `_ratio` on every kind of instrument.
///
/// The word is appended even if the name already ends with it. So an instrument must
/// not be called `x.seconds`: it would become `x_seconds_seconds`.
///
/// Compounds of two words, such as `By/s` (`bytes_per_second`), are not supported.
/// OpenMetrics then only lacks the `# UNIT` line.
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
    // Sizes. Not all of them are UCUM, but all of them are in use.
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    // The crate misspells this word, and the names contain the misspelling.
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

/// Rates of things without a word of their own, such as `{request}/s`. Units of time
/// count as such on this side of the slash.
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

    /// The table is ours, the suffixes come from the exporter crate.
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
