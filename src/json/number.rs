//! Reads integers by their digits, because a float would round them.

/// Returns the integer value of a JSON number, if it has one and fits into 64 bits:
/// `12`, `12.0` and `1.2e1` are 12; `1e-400` is not 0.
pub fn whole(number: &str) -> Option<i64> {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = before.bytes().chain(after.bytes());
    let is_zero = |digit: &u8| *digit == b'0';
    let trailing = digits.clone().rev().take_while(is_zero).count();
    let significant = digits.take(before.len() + after.len() - trailing).skip_while(is_zero);
    let count = significant.clone().count();
    if count == 0 {
        return Some(0);
    }
    // An exponent that does not fit exceeds every possible number of digits.
    let limit = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent = exponent.parse().unwrap_or(limit);
    // The number is its significant digits times ten to the power of `scale`.
    let scale = exponent.saturating_add(trailing as i64).saturating_sub(after.len() as i64);
    let scale = usize::try_from(scale).ok()?;
    if count.saturating_add(scale) > MAX_DIGITS {
        return None;
    }
    // The value is kept negative, because there is one more negative number.
    let mut value = 0_i64;
    for digit in significant.chain(std::iter::repeat_n(b'0', scale)) {
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// The number of digits of 2^63.
const MAX_DIGITS: usize = 19;
