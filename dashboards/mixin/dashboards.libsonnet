// The dashboards beside this folder with the configuration: selector, cluster,
// attributes, and the beginning of their uids.
local config = import 'config.libsonnet';
local defaults = config._config.attributes;

// Every text of a value, keys included.
local mapTexts(f, value) =
  if std.isString(value) then f(value)
  else if std.isArray(value) then [mapTexts(f, one) for one in value]
  else if std.isObject(value) then { [f(key)]: mapTexts(f, value[key]) for key in std.objectFields(value) }
  else value;

// A file with texts replaced. Quotes in JSON are escaped.
local escaped(text) = std.strReplace(text, '"', '\\"');
local replaced(file, pairs) = std.parseJson(std.foldl(
  function(text, pair) std.strReplace(text, escaped(pair[0]), escaped(pair[1])),
  pairs,
  file
));

local matchers(attributes) = std.join('', [',%s=~"$%s"' % [name, name] for name in attributes]);

// A variable with the values of a label. Series without the label belong to all.
local variable(name, label, metric, isMultiple) = {
  local query = 'label_values(%s, %s)' % [metric, name],
  name: name,
  label: label,
  type: 'query',
  datasource: { type: 'prometheus', uid: '${datasource}' },
  definition: query,
  query: { qryType: 1, query: query, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
  refresh: 2,
  sort: 1,
  regex: '',
  multi: isMultiple,
  includeAll: isMultiple,
  hide: 0,
  options: [],
  current: if isMultiple then { selected: true, text: ['All'], value: ['$__all'] } else {},
  [if isMultiple then 'allValue']: '.*',
};

{
  grafanaDashboards+:: {
    local c = $._config,
    local attributes = c.attributes,
    local recorded = [rule.record for group in $.prometheusRules.groups for rule in group.rules],

    // What is compared by the first two attributes bears their names.
    local ofAttributes = [[matchers(defaults), matchers(attributes)]] + (
      if attributes == defaults then []
      else [
        [pair[0], pair[1]]
        for i in std.range(0, std.min(2, std.length(attributes)) - 1)
        for pair in [
          [', %s' % defaults[i], ', %s' % attributes[i]],
          ['by (%s)' % defaults[i], 'by (%s)' % attributes[i]],
          ['"%s"' % defaults[i], '"%s"' % attributes[i]],
        ]
      ]
    ),
    local isCompared(panel) = std.length([
      name
      for name in defaults
      if std.get(panel, 'title', '') == 'By ' + name
    ]) > 0,
    local compared(panels) = (
      local templates = [panel for panel in panels if isCompared(panel)];
      [panel for panel in panels if !isCompared(panel)]
      + [
        local name = defaults[i];
        local upper = std.asciiUpper(name[0]) + name[1:];
        mapTexts(
          function(text) if text == name then attributes[i]
          else std.strReplace(std.strReplace(text, '`%s`' % name, '`%s`' % attributes[i]), upper, attributes[i]),
          templates[i]
        ) + { title: 'By ' + attributes[i] }
        for i in std.range(0, std.min(std.length(templates), std.length(attributes)) - 1)
      ]
    ),

    local selected =
      (if c.clusterLabel == '' then '' else '%s=~"$%s",' % [c.clusterLabel, c.clusterLabel]),
    local selector = if c.selector == '' then '' else c.selector + ',',
    local selectedOf(metric) =
      if selected + selector == '' then metric
      else '%s{%s}' % [metric, std.rstripChars(selected + selector, ',')],
    local begins = ['{server_address', '{job', '{instance', '{alertname'],
    local ofSelector =
      [[begin, '{' + selected + selector + begin[1:]] for begin in begins]
      // Neither a recorded series nor an alert has the labels of the selector.
      + [
        [name + '{' + selected + selector, name + '{' + selected]
        for name in recorded + ['ALERTS', 'ALERTS_FOR_STATE']
      ]
      + [
        ['label_values(%s,' % name, 'label_values(%s,' % selectedOf(name)]
        for name in ['fedimeter_target_up', 'fedimeter_target_info', 'fedimeter_build_info']
      ],
    local ofCluster = if c.clusterLabel == '' then [] else [
      ['%s (%s' % [by, label], '%s (%s, %s' % [by, c.clusterLabel, label]]
      for by in ['by', 'on']
      for label in ['server_address', 'job']
    ],
    local ofLinks = [['/d/fedimeter-', '/d/' + c.dashboardUidPrefix]],
    // What counts as near the end is what alerts.
    local ofThresholds = [
      ['< 7 * 86400', '< %g * 86400' % c.certificateWarningDays],
      ['> bool 7 * 86400', '> bool %g * 86400' % c.certificateWarningDays],
      ['< 0.1)', '< %g)' % c.rateLimitShare],
      ['> bool 0.1,', '> bool %g,' % c.rateLimitShare],
    ],

    local configured(name, file) = (
      local dashboard = replaced(file, ofAttributes + ofSelector + ofCluster + ofLinks + ofThresholds);
      local variables = dashboard.templating.list;
      local kept = [v for v in variables[1:] if !std.member(defaults, v.name)];
      local ofTargets = if name != 'fleet' then [] else [
        local known = [v for v in variables if v.name == attribute];
        if known != [] then known[0] else variable(attribute, attribute, selectedOf('fedimeter_target_up'), true)
        for attribute in attributes
      ];
      local cluster = if c.clusterLabel == '' then [] else [
        // All clusters, whichever is chosen.
        variable(
          c.clusterLabel,
          'Cluster',
          'fedimeter_build_info' + (if c.selector == '' then '' else '{%s}' % c.selector),
          name == 'fleet'
        ),
      ];
      dashboard {
        uid: c.dashboardUidPrefix + name,
        panels: if attributes == defaults then super.panels else compared(super.panels),
        templating+: { list: [variables[0]] + cluster + ofTargets + kept },
      }
    ),

    'fedimeter-instance.json': configured('instance', importstr '../instance.json'),
    'fedimeter-fleet.json': configured('fleet', importstr '../fleet.json'),
    'fedimeter-bridge.json': configured('bridge', importstr '../bridge.json'),
  },
}
