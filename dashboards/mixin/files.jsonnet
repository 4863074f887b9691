// The files that are rendered from the mixin: name and text of each.
//
//   jsonnet -S -m dashboards dashboards/mixin/files.jsonnet
local mixin = import '../mixin.libsonnet';

// A word as it is, anything else in quotes.
local letters = std.set(std.stringChars('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'));
local isWord(text) =
  std.length(text) < 40 && std.length(std.setDiff(std.set(std.stringChars(text)), letters)) == 0;
local quoted(text) = if isWord(text) then text else std.manifestJsonEx(text, '');
// One line in quotes, several as a block.
local scalar(text, spaces) = (
  local pad = '\n' + std.repeat(' ', spaces);
  if std.member(text, '\n') then '|-' + pad + std.strReplace(text, '\n', pad) else quoted(text)
);
local comment(text, spaces) = std.join('', [
  std.rstripChars(std.repeat(' ', spaces) + '# ' + line, ' ') + '\n'
  for line in std.split(std.rstripChars(text, '\n'), '\n')
]);
local map(of, spaces) = std.join('', [
  '\n%s%s: %s' % [std.repeat(' ', spaces), key, quoted(of[key])]
  for key in std.objectFields(of)
]);

local fields = ['record', 'alert', 'expr', 'for', 'keep_firing_for', 'labels', 'annotations'];
local rule(rule) = (
  local body = [
    key + (if std.isObject(rule[key]) then ':' + map(rule[key], 10) else ': ' + scalar(rule[key], 10))
    for key in fields
    if std.objectHas(rule, key)
  ];
  (if rule.reason == '' then '' else comment(rule.reason, 6))
  + '      - ' + std.join('\n        ', body) + '\n'
);
local group(group) = (
  '  - name: %s\n' % group.name
  + (if std.objectHas(group, 'interval') then '    interval: %s\n' % group.interval else '')
  + '    rules:\n'
  + std.join('', [rule(r) for r in group.rules])
);
// Without the last line's end, which jsonnet adds.
local yaml(head, groups) = std.rstripChars(
  comment(head, 0) + 'groups:\n' + std.join('\n', [group(g) for g in groups]), '\n'
);

{
  'alerts.yaml': yaml(|||
    Alerts of fedimeter, for Prometheus 2.42 and later. Load rules.yaml beside it.
    Rendered from mixin.libsonnet: `jsonnet -S -m dashboards dashboards/mixin/files.jsonnet`.

    severity: `critical` is for a page at night, `warning` for today, `info` is good to
    know. A number that a server does not give is absent, and its alert is silent.
    Servers are told apart by server_address and server_port; the attributes customer,
    region, team and page of a target stay on its alerts. docs/runbook.md has an entry
    for each alert.
  |||, mixin.prometheusAlerts.groups),
  'rules.yaml': yaml(|||
    Recording rules of fedimeter, for Prometheus: what alerts.yaml needs of the last
    weeks, and figures to keep for years. Load both files.
    Rendered from mixin.libsonnet: `jsonnet -S -m dashboards dashboards/mixin/files.jsonnet`.
  |||, mixin.prometheusRules.groups),
}
