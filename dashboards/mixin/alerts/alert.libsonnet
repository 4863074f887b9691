// What all alerts have: severity, patience, links, a name for the server in texts.
local promql = import '../promql.libsonnet';

function(config) promql(config) {
  local c = config,

  // The server in a text.
  name:: '{{ $labels.server_address }}{{ with $labels.server_port }}:{{ . }}{{ end }}',
  // A bridge by its host where it has told it: by OTLP `instance` is an identifier.
  bridgeName:: '{{ with $labels.host_name }}{{ . }} ({{ $labels.instance }}){{ else }}{{ $labels.instance }}{{ end }}',

  local folded(text) = std.strReplace(std.rstripChars(text, '\n'), '\n', ' '),
  local severity(name, level) = std.get(c.severities, name, level),

  alert(name, level, pause, expr, summary, description, reason='', dashboard):: {
    reason:: reason,
    alert: name,
    expr: std.rstripChars(expr, '\n'),
    'for': pause,
    labels: { severity: severity(name, level) },
    annotations: {
      summary: folded(summary),
      description: folded(description),
      runbook_url: c.runbookUrl + '#' + std.asciiLower(name),
      dashboard_url: '%s/d/%s%s' % [c.grafanaUrl, c.dashboardUidPrefix, dashboard],
    },
  },

  // Of a server: it outlasts a restart of the bridge, and whether it pages follows
  // the attribute of the target.
  ofServer(name, level, pause, expr, summary, description, reason=''):: (
    local paged = '{{ if eq $labels.%(attribute)s "%(word)s" }}%(then)s{{ else }}%(otherwise)s{{ end }}';
    local pages = {
      attribute: c.pageAttribute,
      word: if c.isFleet then 'yes' else 'no',
      'then': if c.isFleet then 'critical' else 'warning',
      otherwise: if c.isFleet then 'warning' else 'critical',
    };
    $.alert(
      name,
      if level == 'critical' then paged % pages else level,
      pause,
      expr,
      summary,
      description,
      reason,
      'instance?var-server_address={{ $labels.server_address }}&var-server_port={{ $labels.server_port }}'
    ) { keep_firing_for: c.keepFiringFor }
  ),

  ofBridge(name, level, pause, expr, summary, description, reason=''):: $.alert(
    name, level, pause, expr, summary, description, reason, 'bridge?var-instance={{ $labels.instance }}'
  ),
}
