//! An instance's settings.

use super::instance::Instance;

/// An instance's settings, which its admin decides.
///
/// At the start everything is on and public except the list of blocked domains,
/// and one instance in three needs approval for sign-ups or is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own on a real server.
pub struct Switches {
    /// Off: `/api/v1/instance/activity` is an empty 404.
    pub activity_api: bool,
    /// Off: `/api/v1/instance/peers` is an empty 404.
    pub peers_api: bool,
    /// Who sees `/api/v1/instance/domain_blocks`.
    pub show_domain_blocks: ShowDomainBlocks,
    /// Off: the public timelines are 422 for those without a token, from 3.0.
    pub timeline_preview: bool,
    /// `LIMITED_FEDERATION_MODE`: 401 for the instance documents up to 4.3, and
    /// from 4.4 an `active_month` of 0.
    pub limited_federation: bool,
    /// `DISALLOW_UNAUTHENTICATED_API_ACCESS`: 401 for accounts, timelines,
    /// emojis, hashtags.
    pub authenticated_only: bool,
    /// Plain requests without `X-Forwarded-Proto: https` are sent to https, as
    /// a production server does.
    pub force_ssl: bool,
    /// Whether anyone can sign up.
    pub registrations_open: bool,
    /// Whether sign-ups wait for approval.
    pub approval_required: bool,
    /// Whether a contact account is set.
    pub contact_account: bool,
}

/// Who sees which domains an instance blocks; for others the list is an empty 404.
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
    /// How an instance starts.
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
