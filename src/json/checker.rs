//! The grammar of JSON, for a text that arrives in pieces of any size. The only memory
//! is one bit for each open array or object.

use super::{Kind, is_space};

/// A text that is not JSON, with the position of the first invalid byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// The byte in the line, counted from 1.
    pub column: usize,
    /// The first byte of the text that is not white space; `None` in an empty text.
    pub first: Option<u8>,
}

/// Checks that a text is one JSON value (RFC 8259).
///
/// It accepts more than the grammar: a byte order mark at the start, bytes that are not
/// UTF-8, and lone halves of surrogate pairs.
#[derive(Debug)]
pub struct Checker {
    state: State,
    open: Open,
    first: Option<u8>,
    line: usize,
    column: usize,
}

/// What is being read, or what may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The start of the text: a value, or a byte order mark.
    Start,
    /// Inside a byte order mark, with the missing bytes.
    ByteOrderMark(&'static [u8]),
    Value,
    /// A value, or the end of the array that just began.
    ValueOrEnd,
    Key,
    /// A key, or the end of the object that just began.
    KeyOrEnd,
    Colon,
    /// A comma, or the end of the open array or object. Nothing after the outermost
    /// value.
    CommaOrEnd,
    /// Inside a text in quotes, which may be a key.
    Text {
        is_key: bool,
    },
    /// After a backslash.
    Escape {
        is_key: bool,
    },
    /// Inside `\u`, with the number of missing digits.
    Hex {
        is_key: bool,
        missing: u8,
    },
    /// Inside `true`, `false` or `null`, with the missing bytes.
    Word(&'static [u8]),
    Number(Digits),
}

/// The part of a number that was just read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    /// After the minus.
    Minus,
    /// After a leading 0.
    Zero,
    Whole,
    /// After the point.
    Point,
    Fraction,
    /// After `e`.
    Exponent,
    /// After the sign of the exponent.
    ExponentSign,
    Power,
}

impl State {
    /// Whether white space here would be inside a token, or end it.
    fn is_within_token(self) -> bool {
        !matches!(
            self,
            State::Start
                | State::Value
                | State::ValueOrEnd
                | State::Key
                | State::KeyOrEnd
                | State::Colon
                | State::CommaOrEnd
        )
    }
}

impl Default for Checker {
    fn default() -> Checker {
        Checker { state: State::Start, open: Open::default(), first: None, line: 1, column: 1 }
    }
}

impl Checker {
    /// Reads the next piece. `begins` is called at the beginning of each value except
    /// keys, with the number of arrays and objects around it.
    ///
    /// # Errors
    ///
    /// When the text is not JSON. The checker cannot be used afterwards.
    pub fn feed(&mut self, piece: &[u8], mut begins: impl FnMut(usize, Kind)) -> Result<(), Malformed> {
        let mut at = 0;
        while let Some(byte) = piece.get(at) {
            let taken = match self.state {
                State::Text { is_key } => {
                    let plain = piece[at..].iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f));
                    let plain = plain.count();
                    if plain == 0 {
                        self.state = match byte {
                            b'"' if is_key => State::Colon,
                            b'"' => State::CommaOrEnd,
                            b'\\' => State::Escape { is_key },
                            _ => return Err(self.malformed()),
                        };
                    }
                    plain.max(1)
                }
                state if !state.is_within_token() && is_space(*byte) => {
                    if state == State::Start {
                        self.state = State::Value;
                    }
                    if *byte == b'\n' {
                        (self.line, self.column) = (self.line + 1, 0);
                    }
                    1
                }
                _ => {
                    self.first = self.first.or(Some(*byte));
                    usize::from(self.step(*byte, &mut begins).ok_or_else(|| self.malformed())?)
                }
            };
            at += taken;
            self.column += taken;
        }
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// When the value is incomplete or missing.
    pub fn end(mut self) -> Result<(), Malformed> {
        if let State::Number(digits) = self.state
            && digits.may_end()
        {
            self.state = State::CommaOrEnd;
        }
        if self.state == State::CommaOrEnd && self.open.depth == 0 { Ok(()) } else { Err(self.malformed()) }
    }

    /// Reads a byte. Returns whether it was consumed, or `None` if it is invalid here.
    fn step(&mut self, byte: u8, begins: &mut impl FnMut(usize, Kind)) -> Option<bool> {
        self.state = match (self.state, byte) {
            (State::Start, 0xef) => State::ByteOrderMark(b"\xbb\xbf"),
            (State::ByteOrderMark([next, rest @ ..]), _) if *next == byte => {
                if rest.is_empty() {
                    self.first = None;
                    State::Value
                } else {
                    State::ByteOrderMark(rest)
                }
            }
            (State::ValueOrEnd, b']') | (State::KeyOrEnd, b'}') | (State::CommaOrEnd, b']' | b'}') => {
                self.close(byte)?
            }
            (State::Start | State::Value | State::ValueOrEnd, _) => self.value(byte, begins)?,
            (State::Key | State::KeyOrEnd, b'"') => State::Text { is_key: true },
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, b',') => match self.open.innermost()? {
                Kind::Object => State::Key,
                _ => State::Value,
            },
            (State::Escape { is_key }, b'u') => State::Hex { is_key, missing: 4 },
            (State::Escape { is_key }, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                State::Text { is_key }
            }
            (State::Hex { is_key, missing }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => match missing {
                0 | 1 => State::Text { is_key },
                _ => State::Hex { is_key, missing: missing - 1 },
            },
            (State::Word([next, rest @ ..]), _) if *next == byte => {
                if rest.is_empty() {
                    State::CommaOrEnd
                } else {
                    State::Word(rest)
                }
            }
            (State::Number(digits), _) => match digits.and(byte) {
                Some(digits) => State::Number(digits),
                None if digits.may_end() => {
                    self.state = State::CommaOrEnd;
                    return Some(false);
                }
                None => return None,
            },
            _ => return None,
        };
        Some(true)
    }

    fn value(&mut self, byte: u8, begins: &mut impl FnMut(usize, Kind)) -> Option<State> {
        let (kind, state) = match byte {
            b'{' => (Kind::Object, State::KeyOrEnd),
            b'[' => (Kind::Array, State::ValueOrEnd),
            b'"' => (Kind::Text, State::Text { is_key: false }),
            b't' => (Kind::Boolean, State::Word(b"rue")),
            b'f' => (Kind::Boolean, State::Word(b"alse")),
            b'n' => (Kind::Null, State::Word(b"ull")),
            b'-' => (Kind::Number, State::Number(Digits::Minus)),
            b'0' => (Kind::Number, State::Number(Digits::Zero)),
            b'1'..=b'9' => (Kind::Number, State::Number(Digits::Whole)),
            _ => return None,
        };
        begins(self.open.depth, kind);
        if matches!(kind, Kind::Object | Kind::Array) {
            self.open.push(kind == Kind::Object);
        }
        Some(state)
    }

    fn close(&mut self, byte: u8) -> Option<State> {
        let closes = if byte == b'}' { Kind::Object } else { Kind::Array };
        if self.open.innermost()? != closes {
            return None;
        }
        self.open.depth -= 1;
        Some(State::CommaOrEnd)
    }

    fn malformed(&self) -> Malformed {
        Malformed { line: self.line, column: self.column, first: self.first }
    }
}

impl Digits {
    /// Returns the state of the number after one more byte.
    fn and(self, byte: u8) -> Option<Digits> {
        match (self, byte) {
            (Digits::Minus, b'0') => Some(Digits::Zero),
            (Digits::Minus, b'1'..=b'9') | (Digits::Whole, b'0'..=b'9') => Some(Digits::Whole),
            (Digits::Zero | Digits::Whole, b'.') => Some(Digits::Point),
            (Digits::Point | Digits::Fraction, b'0'..=b'9') => Some(Digits::Fraction),
            (Digits::Zero | Digits::Whole | Digits::Fraction, b'e' | b'E') => Some(Digits::Exponent),
            (Digits::Exponent, b'+' | b'-') => Some(Digits::ExponentSign),
            (Digits::Exponent | Digits::ExponentSign | Digits::Power, b'0'..=b'9') => Some(Digits::Power),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Digits::Zero | Digits::Whole | Digits::Fraction | Digits::Power)
    }
}

/// Whether each open array or object is an object, outermost first.
#[derive(Debug, Default)]
struct Open {
    are_objects: Vec<u64>,
    depth: usize,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.are_objects.len() {
            self.are_objects.push(0);
        }
        self.are_objects[word] = self.are_objects[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
    }

    fn innermost(&self) -> Option<Kind> {
        let last = self.depth.checked_sub(1)?;
        let is_object = self.are_objects[last / 64] >> (last % 64) & 1 == 1;
        Some(if is_object { Kind::Object } else { Kind::Array })
    }
}
