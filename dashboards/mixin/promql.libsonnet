// Building blocks of PromQL, from the configuration: what identifies a server and
// a bridge, and how several bridges become one value.
function(config) {
  local list(labels) = std.join(', ', labels),
  local cluster = if config.clusterLabel == '' then [] else [config.clusterLabel],

  // Labels that identify a server, and labels that identify a bridge.
  server:: cluster + ['server_address', 'server_port'],
  bridge:: cluster + ['job', 'instance'],
  // Labels that are kept of a server.
  kept:: self.server + config.attributes + [config.pageAttribute],

  // A selector: the metric with matchers.
  of(metric, matchers=[]):: (
    local all = (if config.selector == '' then [] else [config.selector]) + matchers;
    if std.length(all) == 0 then metric else '%s{%s}' % [metric, std.join(',', all)]
  ),

  by(labels=[]):: 'by (%s)' % list(self.kept + labels),
  onServer(labels=[]):: 'on (%s)' % list(self.server + labels),
  onBridge:: 'on (%s)' % list(self.bridge),
  byBridge(labels=[]):: 'by (%s)' % list(self.bridge + labels),

  // One value a server, whichever bridges asked it and wherever they ran.
  max(expr, labels=[]):: 'max %s (%s)' % [self.by(labels), expr],
  min(expr, labels=[]):: 'min %s (%s)' % [self.by(labels), expr],

  // The same without the attributes: what is known of the past. Attributes change,
  // and what was before has none of them.
  maxOfServer(expr, labels=[]):: 'max by (%s) (%s)' % [list(self.server + labels), expr],
  // Compares or subtracts a value of now with one of the past, and keeps the labels
  // of now.
  past(labels=[]):: self.onServer(labels) + ' group_left ()',

  // Two definitions of one number: the first where there is one. Differences are
  // taken of each by itself.
  either(definitions, expr):: std.join('\nor\n', [expr(name) for name in definitions]),

  users:: ['mastodon_instance_users', 'nodeinfo_users'],
  statuses:: ['mastodon_instance_statuses', 'nodeinfo_local_posts'],
  active:: ['mastodon_instance_active_users_month', 'nodeinfo_active_users_month'],

  // Bridges that reach less than half of their servers.
  cutOff:: |||
    count %(by)s (%(up)s == 0)
    > %(share)g * (count %(by)s (%(up)s) >= %(least)d)
  ||| % {
    by: $.byBridge(),
    up: $.of('fedimeter_target_up'),
    share: config.cutOffShare,
    least: config.cutOffServers,
  },
  // Servers, each up if any bridge that is not cut off reads it.
  up:: |||
    max %(by)s (
      %(up)s
      unless %(on)s (
        %(cutOff)s
      )
    )
  ||| % {
    by: $.by(),
    up: $.of('fedimeter_target_up'),
    on: $.onBridge,
    cutOff: $.indented($.cutOff, 4),
  },

  // A text with each further line indented, without the last line's end.
  indented(text, spaces):: (
    local pad = std.repeat(' ', spaces);
    std.join('\n' + pad, std.split(std.rstripChars(text, '\n'), '\n'))
  ),
}
