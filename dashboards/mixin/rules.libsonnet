// Recording rules: what the alerts need to know of the last weeks, and figures to
// keep for years. Nothing looks back further than the 15 days that Prometheus keeps
// by default.
local promql = import 'promql.libsonnet';

{
  prometheusRules+:: {
    local p = promql($._config),
    local record(name, expr, reason='') = { reason:: reason, record: name, expr: std.rstripChars(expr, '\n') },

    // How much a number grew within a time. Each definition is subtracted from
    // itself, so that a missing one does not count as a jump.
    local growth(definitions, ago, gap) = p.either(definitions, function(metric) (
      '(%s - %s %s)' % [
        p.max(p.of(metric)),
        p.past(),
        p.maxOfServer('last_over_time(%s[%s] offset %s)' % [p.of(metric), gap, ago]),
      ]
    )),

    // The lower of the same hours of the last two weeks: a wave does not make the
    // next one usual. `offset` ends the window an hour later than that.
    local sameHours(record) = |||
      (
        %(last)s
        < %(before)s
      )
      or %(before)s
      or %(last)s
    ||| % {
      last: p.maxOfServer('avg_over_time(%s[2h] offset 167h)' % record),
      before: p.maxOfServer('avg_over_time(%s[2h] offset 335h)' % record),
    },

    // But no less than the share of a usual day: the same hours may have been empty.
    local usual(record, shareOfDay) = |||
      (
        %(hours)s
      )
      > server:users:usual_delta1d * %(share)g
      or
      (
        server:users:usual_delta1d * %(share)g
        and (
          %(hours)s
        )
      )
    ||| % { hours: p.indented(sameHours(record), 2), share: shareOfDay },

    local remote = 'server:mastodon_instance_newest_status_remote_timestamp_seconds:last',
    local remoteAge = 'server:mastodon_instance_newest_status_remote_age_seconds',
    local localAge = 'server:mastodon_instance_newest_status_local_age_seconds',
    local federatedNewest = p.of('mastodon_instance_newest_status_federated_timestamp_seconds'),
    local localNewest = p.of('mastodon_instance_newest_status_local_timestamp_seconds'),
    local usualWeek(expr) = 'quantile_over_time(0.5, (%s)[1w:1h] offset 1d)' % expr,

    local openReports(by, max) = 'sum %s (%s)' % [
      by,
      max(p.of('mastodon_admin_reports_open'), ['mastodon_report_category']),
    ],

    local kind = ['mastodon_storage_kind'],
    local storageNow = p.max(p.of('mastodon_admin_storage_bytes'), kind),
    local storageThen = p.maxOfServer(
      'last_over_time(%s[2h] offset %dd)' % [p.of('mastodon_admin_storage_bytes'), $._config.storageTrendDays],
      kind
    ),

    groups+: [
      {
        name: 'fedimeter.up',
        rules: [
          record('server:fedimeter_target_up:max', p.up, |||
            A server is up when any bridge reads it. A bridge that is cut off has no say.
          |||),
          record('server:fedimeter_target_up:avg1h', |||
            avg_over_time(server:fedimeter_target_up:max[1h])
            and server:fedimeter_target_up:max
          |||),
        ],
      },
      {
        name: 'fedimeter.signups',
        // Below the five minutes after which Prometheus takes a series for gone.
        interval: '2m',
        rules: [
          record('server:users:delta1h', growth(p.users, '1h', '15m'), |||
            The range bridges a gap at that very moment.
          |||),
          record('server:users:delta6h', growth(p.users, '6h', '15m')),
          record('server:users:delta1d', growth(p.users, '1d', '1h')),
          record('server:users:usual_delta1d', |||
            quantile_over_time(0.5, %s[2w:1d] offset 6h)
            and %s
          ||| % [
            p.maxOfServer('server:users:delta1d'),
            p.maxOfServer('last_over_time(server:users:delta1d[1d] offset 6d)'),
          ], |||
            The median of two weeks of days: one wave, or one purge, does not move it.
            Absent without a week of history.
          |||),
          record('server:users:usual_delta1h', usual('server:users:delta1h', 1 / 24)),
          record('server:users:usual_delta6h', usual('server:users:delta6h', 1 / 4)),
        ],
      },
      {
        name: 'fedimeter.silence',
        interval: '2m',
        rules: [
          record(remote, |||
            %(federated)s
            or
            (
              0 * %(local)s
              + %(past)s %(remote)s
            )
          ||| % {
            federated: p.max(federatedNewest),
            'local': p.max(localNewest),
            past: p.past(),
            remote: p.maxOfServer('last_over_time(%s[1h])' % remote),
          }, |||
            A server that cannot leave its own posts out of the timeline may show
            nothing else: the last post from elsewhere is then remembered.
          |||),
          record(remoteAge + ':last', 'time() - ' + remote),
          record(localAge + ':last', 'time() - ' + p.max(localNewest)),
          record(remoteAge + ':max1d', p.maxOfServer('max_over_time(%s:last[1d])' % remoteAge)),
          record(localAge + ':max1d', p.maxOfServer('max_over_time(%s:last[1d])' % localAge)),
          record(remoteAge + ':usual', 'quantile_over_time(0.5, %s:max1d[1w:1d] offset 3d)' % remoteAge, |||
            The longest silence of a usual day: the median of a week of days, which an
            incident of up to three days does not move. It ends three days ago, so that a
            silence does not become usual while it lasts.
          |||),
          record(localAge + ':usual', 'quantile_over_time(0.5, %s:max1d[1w:1d] offset 3d)' % localAge),
        ],
      },
      {
        name: 'fedimeter.moderation',
        interval: '2m',
        rules: [
          record(
            'server:mastodon_admin_accounts_pending:usual',
            usualWeek(p.maxOfServer(p.of('mastodon_admin_accounts_pending'))),
            |||
              What usually waits: the median of the week that ended a day ago.
            |||
          ),
          record(
            'server:mastodon_admin_reports_open:usual',
            usualWeek(openReports('by (%s)' % std.join(', ', p.server), p.maxOfServer))
          ),
        ],
      },
      {
        name: 'fedimeter.storage',
        interval: '2m',
        rules: [
          record('server:mastodon_admin_storage_bytes:predicted', |||
            clamp_min(
              sum %(by)s (
                %(now)s
                + %(days)d / %(trend)d
                * (
                  %(now)s
                  - %(past)s
                  %(then)s
                )
              ),
              0
            )
            unless %(on)s (
              %(now)s
              unless %(onKind)s
              %(then)s
            )
          ||| % {
            by: p.by(),
            on: p.onServer(),
            onKind: p.onServer(kind),
            past: p.past(kind),
            now: storageNow,
            'then': storageThen,
            days: $._config.storagePredictionDays,
            trend: $._config.storageTrendDays,
          }, |||
            Each kind of storage grows as it did. Absent while a kind has no value to be
            compared with: a sum without it would be too small.
          |||),
        ],
      },
      {
        name: 'fedimeter.daily',
        // 24 points a day in the place of 1,440: to be kept for years, see
        // docs/guides/years.md. Panels and alerts do not need them.
        interval: '1h',
        rules: [
          record('server:users:daily', p.either(p.users, function(metric) p.max(p.of(metric)))),
          record('server:statuses:daily', p.either(p.statuses, function(metric) p.max(p.of(metric)))),
          record('server:active_users_month:daily', p.either(p.active, function(metric) p.max(p.of(metric)))),
          record('server:fedimeter_target_up:daily', 'avg_over_time(server:fedimeter_target_up:avg1h[1d:1h])'),
          record(
            'server:mastodon_admin_storage_bytes:daily',
            p.max(p.of('mastodon_admin_storage_bytes'), ['mastodon_storage_kind'])
          ),
          record('server:mastodon_admin_reports_open:daily', openReports(p.by(), p.max)),
        ],
      },
    ],
  },
}
