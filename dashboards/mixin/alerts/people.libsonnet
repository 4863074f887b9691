// Alerts about people: newcomers, and those who wait for moderators.
local alert = import 'alert.libsonnet';

{
  prometheusAlerts+:: {
    local c = $._config,
    local a = alert(c),
    local pending = a.max(a.of('mastodon_admin_accounts_pending')),
    local reports = 'sum %s (%s)' % [
      a.by(),
      a.max(a.of('mastodon_admin_reports_open'), ['mastodon_report_category']),
    ],

    groups+: [{
      name: 'fedimeter.people',
      rules: [
        a.ofServer(
          'FedimeterSignUpWave',
          'warning',
          '5m',
          |||
            server:users:delta6h
            and (
              (
                server:users:delta1h >= %(hourUsers)d
                and server:users:delta1h > %(past)s %(hourFactor)g * server:users:usual_delta1h
              )
              or
              (
                server:users:delta6h > %(sixUsers)d
                and server:users:delta6h > %(past)s %(sixFactor)g * server:users:usual_delta6h
              )
            )
          ||| % {
            past: a.past(),
            hourUsers: c.waveHourUsers,
            hourFactor: c.waveHourFactor,
            sixUsers: c.waveSixHoursUsers,
            sixFactor: c.waveSixHoursFactor,
          },
          'A wave of sign-ups on %s' % a.name,
          |||
            %s has {{ $value | humanize }} new users within six hours, far more than is usual
            for these hours of the week.
          ||| % a.name,
          |||
            An hour shows ten times the usual rate early, six hours show four times the
            usual rate surely. The floors are for small servers, where chance is large.
          |||
        ),
        a.ofServer(
          'FedimeterAccountsPending',
          'warning',
          '1h',
          |||
            %(pending)s
            > %(floor)d
            and
            %(pending)s
            > %(past)s %(factor)g * server:mastodon_admin_accounts_pending:usual
          ||| % { past: a.past(), pending: pending, floor: c.pendingAccounts, factor: c.pendingFactor },
          'Many sign-ups wait for approval on %s' % a.name,
          |||
            {{ $value | humanize }} accounts wait for approval on %s, more than twice as many
            as usual.
          ||| % a.name,
          |||
            Where sign-ups wait for approval, a wave of applications shows here first. What
            always waits is no alert: the server has its own usual.
          |||
        ),
        a.ofServer(
          'FedimeterReportsPilingUp',
          'warning',
          '1h',
          |||
            %(reports)s
            > %(floor)d
            and
            %(reports)s
            > %(past)s %(factor)g * server:mastodon_admin_reports_open:usual
          ||| % { past: a.past(), reports: reports, floor: c.openReports, factor: c.openReportsFactor },
          'Reports are piling up on %s' % a.name,
          |||
            {{ $value | humanize }} reports are open on %s, more than twice as many as usual.
          ||| % a.name,
          |||
            What is much differs by server; the floor keeps three instead of one silent.
          |||
        ),
        a.ofServer(
          'FedimeterReportUnresolved',
          'info',
          '1h',
          'time() - %s > %g * 86400' % [
            a.min(a.of('mastodon_admin_reports_oldest_timestamp_seconds')),
            c.reportDays,
          ],
          'A report on %s is older than a week' % a.name,
          'The oldest open report on %s was made {{ $value | humanizeDuration }} ago.' % a.name,
          |||
            However few there are: one that nobody has decided for a week was overlooked.
          |||
        ),
      ],
    }],
  },
}
