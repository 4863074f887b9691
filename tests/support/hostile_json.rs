//! JSON that costs its reader as much memory or time as possible.

/// Bodies of this size in bytes, or slightly less.
pub fn hostile(size: usize) -> Vec<String> {
    let repeated = |piece: &str, before: &str, after: &str| {
        let room = size - before.len() - after.len() - 1;
        let pieces = vec![piece; room / (piece.len() + 1)];
        format!("{before}{}{after}", pieces.join(","))
    };
    let text = |piece: &str| format!("{{\"version\":\"{}\"}}", piece.repeat((size - 20) / piece.len()));
    vec![
        repeated(r#"{"":0}"#, "[", "]"),
        repeated("{}", "[", "]"),
        repeated("0", "[", "]"),
        repeated(r#"{"created_at":0,"category":0,"severity":""}"#, "[", "]"),
        repeated(r#"{"date":"2026-08-01","value":1}"#, r#"[{"key":"active_users","data":["#, "]}]"),
        repeated(r#"{"key":"de","value":"1"}"#, r#"[{"key":"languages","data":["#, "]}]"),
        repeated("{}", r#"[{"period":"2026-06-01","data":["#, "]}]"),
        repeated(r#"{"week":"1","statuses":"1"}"#, "[", "]"),
        repeated(r#"{"id":"1","last_status_at":"x"}"#, "[", "]"),
        repeated(r#""":0"#, "{", "}"),
        repeated(r#""\u0000":0"#, "{", "}"),
        repeated("0", r#"{"rules":["#, "]}"),
        repeated(r#"{"day":"1"}"#, r#"{"history":["#, "]}"),
        repeated(r#"{"rel":0}"#, r#"{"links":["#, "]}"),
        repeated(r#""k":{"rel":0}"#, r#"{"links":{"#, "}}"),
        format!("{{\"links\":{{\"{}\":{{\"rel\":0}}}}}}", "\\u202e".repeat((size - 40) / 6)),
        format!("{}{}", "[".repeat(size / 2), "]".repeat(size / 2)),
        format!("{{\"stats\":{}1{}}}", "{\"stats\":".repeat(size / 20), "}".repeat(size / 20)),
        text("\\u0000"),
        text("\\ud83d"),
        text("x"),
        format!("{{\"error\":\"{}\"}}", "\\n".repeat(size / 2 - 10)),
        format!("{{\"stats\":{{\"user_count\":{}}}}}", "9".repeat(size - 30)),
        format!("{{\"stats\":{{\"user_count\":\"{}\"}}}}", "9".repeat(size - 30)),
    ]
}
