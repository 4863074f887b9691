// Alerts about servers: there, readable, federating, with room.
local alert = import 'alert.libsonnet';

{
  prometheusAlerts+:: {
    local c = $._config,
    local a = alert(c),
    local endpoint = 'fedimeter_endpoint_name',
    local endpointUp(matchers=[]) = a.of('fedimeter_endpoint_up', matchers),
    local isDown = 'max by (%s) (%s) == 0' % [std.join(', ', a.server), a.of('fedimeter_target_up')],
    local tokenFails = 'max by (%s) (%s) == 0' % [
      std.join(', ', a.server),
      endpointUp([endpoint + '="credentials"']),
    ],
    local membersOnly = a.of('fedimeter_endpoint_failing', [
      'error_type="unauthorized"',
      endpoint + '=~"timelines|peers|accounts|tags|domain_blocks|custom_emojis"',
    ]),
    local rateLimited = a.of('fedimeter_endpoint_failing', ['error_type="rate_limited"']),
    local expiry = a.min(a.of('fedimeter_target_certificate_expiry_timestamp_seconds')),
    local certificate(level, days, pause, reason='') = a.ofServer(
      'FedimeterCertificateExpiring',
      level,
      pause,
      '%s - time() < %g * 86400' % [expiry, days],
      'A certificate of %s is near its end' % a.name,
      |||
        A certificate in the chain of %s
        {{ if gt $value 0.0 }}ends in {{ $value | humanizeDuration }}{{ else }}has ended{{ end }}.
      ||| % a.name,
      reason
    ),
    local flapping(level, share, reason='') = a.ofServer(
      'FedimeterTargetFlapping',
      level,
      '1m',
      |||
        server:fedimeter_target_up:avg1h < %g
        and changes(server:fedimeter_target_up:max[1h]) >= %d
      ||| % [share, c.flappingChanges],
      '%s is up and down' % a.name,
      '%s was up for {{ $value | humanizePercentage }} of the last hour, in several pieces.' % a.name,
      reason
    ),
    local silence(name, age, usualLimit, summary, description, reason) = a.ofServer(
      name,
      'warning',
      '10m',
      |||
        %(age)s:last > %(floor)d
        and %(age)s:last > %(past)s %(factor)g * (%(age)s:usual < %(limit)d)
      ||| % { past: a.past(), age: age, floor: c.silenceSeconds, factor: c.silenceFactor, limit: usualLimit },
      summary,
      description,
      reason
    ),

    groups+: [{
      name: 'fedimeter.servers',
      rules: [
        a.ofServer(
          'FedimeterTargetDown',
          'critical',
          c.downFor,
          a.up + '== 0',
          '%s is down' % a.name,
          |||
            None of the instance and NodeInfo documents of %s could be read for %s.
          ||| % [a.name, c.downFor],
          |||
            Five minutes are five attempts: a server that is down is asked again every
            minute. A restart or a short migration is over by then. When a bridge reaches
            less than half of its servers, the bridge is at fault.
          |||
        ),
        flapping('critical', c.flappingAvailabilityCritical, |||
          A server that is never down for five minutes running can still be down for most
          of an hour. One outage is two changes.
        |||),
        flapping('warning', c.flappingAvailability),
        a.ofServer(
          'FedimeterLowUptime',
          'info',
          '1h',
          |||
            0 * server:fedimeter_target_up:avg1h
            + %(past)s (
              avg_over_time(%(hours)s[1w:1h]) < %(least)g
              and count_over_time(%(hours)s[1w:1h]) > 84
            )
          ||| % {
            past: a.past(),
            hours: a.maxOfServer('server:fedimeter_target_up:avg1h'),
            least: c.lowUptime,
          },
          '%s is often down' % a.name,
          '%s was up for {{ $value | humanizePercentage }} of the last week.' % a.name,
          |||
            Half a week of history is the least.
          |||
        ),
        a.ofServer(
          'FedimeterTokenFailing',
          'warning',
          '15m',
          |||
            %s
            == 0
            unless %s
            (%s)
          ||| % [a.max(endpointUp([endpoint + '="credentials"'])), a.onServer(), isDown],
          'The token for %s does not work' % a.name,
          |||
            %s is up, but has not accepted the token for a quarter of an hour. Everything
            that needs the token is absent.
          ||| % a.name,
          |||
            One alert for a token that was revoked, not one for each of its endpoints.
          |||
        ),
        a.ofServer(
          'FedimeterEndpointFailing',
          'warning',
          '15m',
          |||
            %(up)s
            == 0
            unless %(on)s
            (%(down)s)
            unless %(onEndpoint)s (
              %(limited)s
              or %(membersOnly)s
            )
            unless %(onEndpoint)s (
              %(ofToken)s
              and %(on)s (%(tokenFails)s)
            )
          ||| % {
            up: a.max(endpointUp([endpoint + '!="credentials"']), [endpoint]),
            on: a.onServer(),
            onEndpoint: a.onServer([endpoint]),
            down: isDown,
            limited: rateLimited,
            membersOnly: membersOnly,
            ofToken: endpointUp([endpoint + '=~"admin_.*|announcements"']),
            tokenFails: tokenFails,
          },
          '{{ $labels.fedimeter_endpoint_name }} of %s fails' % a.name,
          |||
            %s is up, but its endpoint {{ $labels.fedimeter_endpoint_name }} could not be read
            for a quarter of an hour. Its metrics are absent; those of health say 0.
          ||| % a.name,
          |||
            Not by an increase of failures: the first one of a series has none. Five
            attempts fall into a quarter of an hour, because a failed endpoint is asked
            again after 1, 2, 4 and 8 minutes, whatever its interval. Down, a rate limit, a
            dead token and members-only pages have alerts of their own.
          |||
        ),
        a.ofServer(
          'FedimeterMembersOnly',
          'info',
          '1h',
          |||
            count %s (
              max %s (%s)
              unless %s (%s)
            )
          ||| % [a.by(), a.by([endpoint]), membersOnly, a.onServer(), tokenFails],
          '%s shows something to its users only' % a.name,
          |||
            {{ $value }} endpoints of %s need a token: give the target one, or do not collect
            them.
          ||| % a.name
        ),
        a.ofServer(
          'FedimeterRateLimitNearlySpent',
          'warning',
          '15m',
          |||
            min %(by)s (
              min_over_time(%(remaining)s[6m])
              < %(share)g * max_over_time(%(limit)s[6m])
            )
            or
            0 * %(limited)s
          ||| % {
            by: a.by(),
            remaining: a.of('mastodon_rate_limit_remaining'),
            share: c.rateLimitShare,
            limit: a.of('mastodon_rate_limit_limit'),
            limited: a.max(rateLimited),
          },
          'The rate limit of %s is nearly spent' % a.name,
          |||
            Only {{ $value | humanize }} requests to %s were left in three windows running.
            Numbers go missing when there is none left.
          ||| % a.name,
          |||
            Mastodon allows an anonymous client 300 requests in five minutes, and at zero
            the bridge stops asking until the window ends. A tenth is what the bridge itself
            needs in one window. Each window begins full, so the lowest point of six minutes
            is looked at, and three windows running. A server that answers 429 is not down.
          |||
        ),
        certificate('warning', c.certificateWarningDays, '1h', |||
          Certificates are renewed when a third of their time is left: 30 days before the
          end with 90 days, some 15 with the 47 that are the most from 2029 on. With a week
          left, a renewal has failed.
        |||),
        certificate('critical', c.certificateCriticalDays, '15m'),
        silence(
          'FedimeterFederationSilent',
          'server:mastodon_instance_newest_status_remote_age_seconds',
          c.federationUsualSeconds,
          'Nothing comes from other servers to %s' % a.name,
          |||
            The newest post from elsewhere on %s is {{ $value | humanizeDuration }} old, far
            longer than the longest silence of a usual day.
          ||| % a.name,
          |||
            Needs `timelines` in `collect`, and four days of history. A server on which a day
            without a post from elsewhere is usual (a small one that follows few) is left
            alone: its silence says nothing.
          |||
        ),
        silence(
          'FedimeterLocalPostingSilent',
          'server:mastodon_instance_newest_status_local_age_seconds',
          c.localUsualSeconds,
          'Nobody posts on %s' % a.name,
          |||
            The newest local post on %s is {{ $value | humanizeDuration }} old, far longer
            than the longest silence of a usual day.
          ||| % a.name,
          |||
            The same for the server's own users, who sleep: only where six hours without a
            post are not usual.
          |||
        ),
        a.ofServer(
          'FedimeterStorageGrowing',
          'warning',
          '1h',
          |||
            %(now)s
            - %(past)s
            %(then)s
            > %(floor)d
            and
            %(now)s
            > %(past)s
            %(ratio)g * %(then)s
          ||| % {
            past: a.past(['mastodon_storage_kind']),
            now: a.max(a.of('mastodon_admin_storage_bytes'), ['mastodon_storage_kind']),
            'then': a.maxOfServer(
              'last_over_time(%s[2h] offset 1w)' % a.of('mastodon_admin_storage_bytes'),
              ['mastodon_storage_kind']
            ),
            floor: c.storageGrowthBytes,
            ratio: c.storageGrowthRatio,
          },
          '{{ $labels.mastodon_storage_kind }} of %s grows fast' % a.name,
          |||
            {{ $labels.mastodon_storage_kind }} of %s has grown by {{ $value | humanize1024 }}B
            within a week, more than a quarter.
          ||| % a.name,
          |||
            By a quarter and by 5 GiB in a week: the ratio spares large servers, the floor
            small ones. How much room there is, no server tells.
          |||
        ),
      ],
    }],
  },
}
