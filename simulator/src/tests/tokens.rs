//! Tokens that are revoked, have few scopes, or belong to users without permissions.

use serde_json::{Value, json};

use super::{TokenSpec, V2_4, V3_4, V4_2, V4_6, bed, parse, permission};

const REPORTS: &str = "/api/v1/admin/reports";

fn tokens() -> Vec<TokenSpec> {
    vec![
        TokenSpec::new("moderator", "read admin:read", permission::MANAGE_REPORTS),
        TokenSpec::new("narrow", "admin:read:reports", permission::ADMINISTRATOR),
        TokenSpec::new("reader", "read", permission::ADMINISTRATOR),
        TokenSpec::new("user", "read admin:read profile", 0),
        TokenSpec::new("profile", "profile", 0),
    ]
}

#[tokio::test]
async fn administration_asks_who_you_are() {
    let bed = bed(|s| (s.tokens, s.token) = (tokens(), Some("owner".into()))).await;
    let outside = (403, json!("This action is outside the authorized scopes"));
    let forbidden = (403, json!("This action is not allowed"));
    let ask = async |i, path: &str, token: Option<&str>| {
        let response = match token {
            Some(token) => bed.get_with(i, path, token).await,
            None => bed.get(i, path).await,
        };
        (response.status().as_u16(), parse(response).await["error"].clone())
    };
    let fine = (200, Value::Null);
    for (path, token, expected) in [
        (REPORTS, None, &forbidden),
        (REPORTS, Some("owner"), &fine),
        (REPORTS, Some("moderator"), &fine),
        (REPORTS, Some("narrow"), &fine),
        (REPORTS, Some("reader"), &outside),
        (REPORTS, Some("user"), &forbidden),
        (REPORTS, Some("nobody"), &(401, json!("The access token is invalid"))),
        ("/api/v1/admin/ip_blocks", Some("moderator"), &forbidden),
        ("/api/v1/admin/ip_blocks", Some("narrow"), &outside),
        ("/api/v2/admin/accounts?status=pending", Some("owner"), &fine),
    ] {
        assert_eq!(ask(V4_6, path, token).await, *expected, "{path} {token:?}");
    }
    // Before roles existed there were staff members.
    assert_eq!(ask(V3_4, "/api/v1/admin/accounts?pending=true", Some("moderator")).await, fine);
    assert_eq!(ask(V3_4, "/api/v1/admin/accounts?pending=true", Some("user")).await, forbidden);
    assert_eq!(bed.status(V2_4, REPORTS).await, 404);
    let measures = bed.client.post(format!("http://{}/api/v1/admin/measures", bed.simulator.addr()));
    assert_eq!(measures.bearer_auth("narrow").send().await.unwrap().status().as_u16(), 403);

    // Public endpoints refuse a revoked token, but not those that ignore tokens.
    bed.simulator.set_tokens(vec![TokenSpec::everything("new")]);
    assert_eq!(ask(V4_6, REPORTS, Some("owner")).await.0, 401);
    assert_eq!(ask(V4_6, "/api/v1/instance", Some("owner")).await.0, 401);
    assert_eq!(ask(V4_6, "/nodeinfo/2.0", Some("owner")).await.0, 200);
    assert_eq!(ask(V4_6, REPORTS, Some("new")).await.0, 200);
}

#[tokio::test]
async fn a_token_knows_what_it_may_do() {
    let bed = bed(|s| (s.tokens, s.token) = (tokens(), Some("owner".into()))).await;
    let path = "/api/v1/accounts/verify_credentials";
    let role = async |i, token: &str| {
        let response = bed.get_with(i, path, token).await;
        assert_eq!(response.status().as_u16(), 200, "{token}");
        let account = parse(response).await;
        assert_eq!(account["username"], "admin");
        assert!(account["source"].is_object());
        account["role"]["permissions"].clone()
    };
    assert_eq!(role(V4_6, "owner").await, "8388607");
    assert_eq!(role(V4_2, "owner").await, "1048575");
    assert_eq!(role(V4_6, "moderator").await, "65552");
    assert_eq!(role(V4_6, "profile").await, "65536");
    assert_eq!(role(V3_4, "owner").await, Value::Null);
    for (i, token) in [(V4_2, "profile"), (V4_6, "narrow")] {
        assert_eq!(bed.get_with(i, path, token).await.status().as_u16(), 403, "{token}");
    }
    assert_eq!(bed.status(V4_6, path).await, 401);
}
