// fedimeter's dashboards, alerts and recording rules as a monitoring mixin. They
// are the files beside this one, which can also be used as they are.
//
//   jsonnet -e '(import "dashboards/mixin.libsonnet").prometheusAlerts'
//
//   (import 'fedimeter/dashboards/mixin.libsonnet') + {
//     _config+:: {
//       severities: { FedimeterTargetDown: 'warning' },
//       withoutAlerts: ['FedimeterReportUnresolved'],
//     },
//   }
local alerts = std.parseYaml(importstr 'alerts.yaml');
local rules = std.parseYaml(importstr 'rules.yaml');

{
  _config+:: {
    // The page with a heading for each alert: docs/runbook.md, or your own.
    runbookUrl: 'https://docs.rs/fedimeter/latest/fedimeter/runbook/index.html',
    // Another severity, by the name of the alert.
    severities: {},
    // Names of alerts to leave out.
    withoutAlerts: [],
  },

  grafanaDashboards+:: {
    'fedimeter-instance.json': import 'instance.json',
    'fedimeter-fleet.json': import 'fleet.json',
    'fedimeter-bridge.json': import 'bridge.json',
  },

  prometheusAlerts+:: {
    local adapted(rule) = rule {
      labels+: {
        severity: std.get($._config.severities, rule.alert, super.severity),
      },
      annotations+: {
        runbook_url: $._config.runbookUrl + '#' + std.asciiLower(rule.alert),
      },
    },

    groups+: [
      group {
        rules: [
          adapted(rule)
          for rule in group.rules
          if !std.member($._config.withoutAlerts, rule.alert)
        ],
      }
      for group in alerts.groups
    ],
  },

  prometheusRules+:: {
    groups+: rules.groups,
  },
}
