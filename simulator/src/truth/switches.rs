//! An instance's settings.

use super::instance::Instance;

/// An instance's settings, which its administrator controls.
///
/// At the start everything is on and public, except the list of blocked domains. One
/// instance in three needs approval for sign-ups or is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own on a real server.
pub struct Switches {
    /// Off: `/api/v1/instance/activity` is an empty 404.
    pub activity_api: bool,
    /// Off: `/api/v1/instance/peers` is an empty 404.
    pub peers_api: bool,
    /// Who sees `/api/v1/instance/domain_blocks`.
    pub show_domain_blocks: ShowDomainBlocks,
    /// Off: the public timelines answer 422 without a token, from 3.0 on.
    pub timeline_preview: bool,
    /// `LIMITED_FEDERATION_MODE`: up to 4.3 the instance documents answer 401, and from
    /// 4.4 on `active_month` is 0.
    pub limited_federation: bool,
    /// `DISALLOW_UNAUTHENTICATED_API_ACCESS`: accounts, timelines, emojis and hashtags
    /// answer 401.
    pub authenticated_only: bool,
    /// Plain requests without `X-Forwarded-Proto: https` are redirected to https, as by
    /// a production server.
    pub force_ssl: bool,
    /// Whether anyone can sign up.
    pub registrations_open: bool,
    /// Whether sign-ups wait for approval.
    pub approval_required: bool,
    /// Whether a contact account is set.
    pub contact_account: bool,
}

/// Who sees the domains that an instance blocks. For others the list is an empty 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowDomainBlocks {
    /// Nobody.
    Disabled,
    /// Those with a token.
    Users,
    /// Everyone.
    All,
}

impl Switches {
    /// Returns the settings at the start.
    pub(crate) fn of(instance: &Instance) -> Switches {
        let door = instance.numbers.unit(10);
        Switches {
            activity_api: true,
            peers_api: true,
            show_domain_blocks: ShowDomainBlocks::Disabled,
            timeline_preview: true,
            limited_federation: false,
            authenticated_only: false,
            force_ssl: false,
            registrations_open: door < 0.85,
            approval_required: (0.65..0.85).contains(&door),
            contact_account: instance.numbers.unit(11) < 0.8,
        }
    }
}
