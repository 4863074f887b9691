// Alerts about bridges: there, not cut off, with all of their servers, delivering.
local alert = import 'alert.libsonnet';

{
  prometheusAlerts+:: {
    local c = $._config,
    local a = alert(c),
    local buildInfo = a.of('fedimeter_build_info'),
    local targetUp = a.of('fedimeter_target_up'),
    local up = a.of('up'),
    local bridgeSilent = |||
      last_over_time(%(build)s[1h])
      unless %(on)s %(build)s
      unless %(on)s last_over_time(%(up)s[1h])
    ||| % { build: buildInfo, on: a.onBridge, up: up },

    groups+: [{
      name: 'fedimeter.bridge',
      rules: [
        a.ofBridge(
          'FedimeterMostTargetsDown',
          'critical',
          c.downFor,
          a.cutOff,
          'The bridge {{ $labels.instance }} reaches less than half of its servers',
          |||
            {{ $value | humanize }} servers of the bridge {{ $labels.instance }} are down at
            once. Its own network, resolver or proxy is the likely cause.
          |||,
          |||
            One page instead of thousands. Of fewer than five servers each is told by
            itself.
          |||
        ),
        a.ofBridge(
          'FedimeterBridgeCannotReach',
          'warning',
          '15m',
          |||
            count %(byBridge)s (
              %(up)s == 0
              and %(onServer)s (max by (%(server)s) (%(up)s) == 1)
              unless %(onBridge)s (
                %(cutOff)s
              )
            )
          ||| % {
            byBridge: a.byBridge(),
            up: targetUp,
            onServer: a.onServer(),
            server: std.join(', ', a.server),
            onBridge: a.onBridge,
            cutOff: a.indented(a.cutOff, 4),
          },
          'The bridge {{ $labels.instance }} cannot reach servers that others reach',
          |||
            {{ $value | humanize }} servers are down for the bridge {{ $labels.instance }} and up
            for another one. It is the way between them that is broken.
          |||
        ),
        a.ofBridge(
          'FedimeterBridgeDown',
          'critical',
          c.downFor,
          |||
            %s == 0
            and %s
            last_over_time(%s[1w])
          ||| % [up, a.onBridge, buildInfo],
          'The bridge {{ $labels.instance }} is down',
          |||
            Prometheus could not scrape the bridge {{ $labels.instance }} of job
            {{ $labels.job }} for %s. Nothing is known of its servers meanwhile.
          ||| % c.downFor,
          |||
            Whatever the job is called: what Prometheus scrapes and what has been a bridge in
            the last week. A restart takes seconds.
          |||
        ),
        a.ofBridge(
          'FedimeterBridgeFlapping',
          'warning',
          '1m',
          |||
            avg_over_time(%(up)s[1h]) < %(share)g
            and changes(%(up)s[1h]) >= %(changes)d
            and %(on)s
            last_over_time(%(build)s[1h])
          ||| % {
            up: up,
            share: c.flappingAvailability,
            changes: c.flappingChanges,
            on: a.onBridge,
            build: buildInfo,
          },
          'The bridge {{ $labels.instance }} comes and goes',
          |||
            Prometheus could scrape the bridge {{ $labels.instance }} in
            {{ $value | humanizePercentage }} of the last hour, in several pieces.
          |||,
          |||
            A bridge that is never away for five minutes running can still be away for most
            of an hour.
          |||
        ),
        a.ofBridge(
          'FedimeterBridgeSilent',
          'critical',
          '10m',
          |||
            group %(byHost)s (
              (
                %(silent)s
              )
              * %(on)s group_left (host_name)
              group %(byHost)s (last_over_time(%(info)s[1h]))
            )
            or %(on)s
            group %(by)s (
              %(silent)s
            )
          ||| % {
            byHost: a.byBridge(['host_name']),
            by: a.byBridge(),
            silent: a.indented(bridgeSilent, 4),
            on: a.onBridge,
            info: a.of('target_info'),
          },
          'The bridge %s no longer pushes' % a.bridgeName,
          |||
            Nothing has come from the bridge %s of job {{ $labels.job }} for a quarter of an
            hour, and it is not scraped. Nothing is known of its servers meanwhile.
          ||| % a.bridgeName,
          |||
            A bridge that pushes has no `up`. One that is scraped and was taken out of the
            configuration had one within the last hour, and is left alone.
          |||
        ),
        a.alert(
          'FedimeterAbsent',
          'critical',
          '15m',
          |||
            absent(%(build)s)
            unless on () (%(up)s == 0 and %(on)s last_over_time(%(build)s[1w]))
            unless on () (
              %(silent)s
            )
          ||| % { build: buildInfo, up: up, on: a.onBridge, silent: a.indented(bridgeSilent, 2) },
          'There is no bridge',
          |||
            For a quarter of an hour no bridge has been scraped or has pushed to this
            Prometheus: its configuration lost it, or nothing arrives.
          |||,
          |||
            No bridge at all, when neither of the two above tells which one.
          |||,
          'bridge'
        ),
        a.ofBridge(
          'FedimeterTargetsLost',
          'warning',
          '15m',
          |||
            count %(by)s (
              last_over_time(%(up)s[1d])
              unless %(onServer)s %(up)s
            )
            > %(share)g * count %(by)s (last_over_time(%(up)s[1d]))
            unless %(onBridge)s %(scraped)s == 0
            unless on () absent(%(build)s)
          ||| % {
            by: a.byBridge(),
            up: targetUp,
            onServer: a.onServer(),
            share: c.lostShare,
            onBridge: a.onBridge,
            scraped: up,
            build: buildInfo,
          },
          'No bridge asks most of the servers of {{ $labels.instance }} any more',
          |||
            {{ $value | humanize }} servers that the bridge {{ $labels.instance }} asked within
            the last day are asked by no bridge now: the bridge left the service discovery,
            or its configuration lost them.
          |||,
          |||
            A few targets that go are taken for removed on purpose: the bridge goes on, or a
            new one asks the others. A server that was replaced never makes more than half.
            A bridge that is down has an alert of its own.
          |||
        ),
        a.ofBridge(
          'FedimeterExportFailing',
          'warning',
          '15m',
          |||
            increase(%s[10m]) > 0
            and %s %s
          ||| % [
            a.of('otel_sdk_exporter_metric_data_point_exported_total', ['error_type!=""']),
            a.onBridge,
            buildInfo,
          ],
          'The bridge {{ $labels.instance }} cannot push ({{ $labels.error_type }})',
          |||
            {{ $value | humanize }} points of the bridge {{ $labels.instance }} did not arrive at
            {{ $labels.server_address }}{{ with $labels.server_port }}:{{ . }}{{ end }} within ten
            minutes: {{ $labels.error_type }}.
          |||,
          |||
            Ten minutes of increase for a quarter of an hour: pushes failed for five minutes
            at least, and a receiver's restart is silent. The name is the semantic
            conventions', and other applications have it, too.
          |||
        ),
        a.ofBridge(
          'FedimeterExportWaiting',
          'warning',
          '5m',
          '%s > 600' % a.of('fedimeter_push_backlog_age_seconds'),
          'The bridge {{ $labels.instance }} has pushed nothing for a while',
          |||
            What the bridge {{ $labels.instance }} pushes has waited for {{ $value | humanizeDuration }}
            for {{ $labels.server_address }}{{ with $labels.server_port }}:{{ . }}{{ end }}. The oldest
            are dropped when the backlog is full.
          |||,
          |||
            What a receiver does not take now is kept and delivered later, so that nothing is
            counted as failed while it is away.
          |||
        ),
        a.ofBridge(
          'FedimeterReloadFailed',
          'warning',
          '5m',
          '%s == 0' % a.of('fedimeter_config_last_reload_successful'),
          'The bridge {{ $labels.instance }} runs with an older configuration',
          |||
            The configuration that the bridge {{ $labels.instance }} was to take is wrong, and the
            one before stays in effect. A restart would fail on it.
          |||
        ),
        a.ofBridge(
          'FedimeterListUnreadable',
          'warning',
          '15m',
          '%s == 0' % a.of('fedimeter_source_last_refresh_successful'),
          'The bridge {{ $labels.instance }} cannot read a list of targets',
          |||
            {{ $labels.fedimeter_source_name }} cannot be read by the bridge {{ $labels.instance }}:
            targets that were added since are not asked, and those that were removed still are.
          |||
        ),
      ],
    }],
  },
}
