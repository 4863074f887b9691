// What can be configured, with the defaults that alerts.yaml, rules.yaml and the
// dashboards beside this folder are rendered with.
{
  _config+:: {
    // Matchers for every selector of fedimeter's metrics, such as 'env="prod"'.
    selector: '',
    // A label that tells several clusters in one Prometheus apart, such as
    // 'cluster'. It becomes a variable of the dashboards.
    clusterLabel: '',
    // Labels that stay on alerts about servers, and variables of Fleet: attributes
    // of your targets. Fleet compares servers by the first two. Series without them
    // are not affected.
    attributes: ['customer', 'region', 'team'],

    // Where alerts link to: Grafana, and a page with a heading for each alert.
    grafanaUrl: 'http://127.0.0.1:3000',
    runbookUrl: 'https://docs.rs/fedimeter/latest/fedimeter/runbook/index.html',
    // The beginning of the dashboards' uids, and so of links to them.
    dashboardUidPrefix: 'fedimeter-',

    // Whether servers belong to others: a failing server is then a `warning`, not
    // `critical`. The target's attribute `page` ("yes" or "no") overrides it.
    isFleet: false,
    pageAttribute: 'page',
    // Another severity, by the name of the alert.
    severities: {},
    // Names of alerts to leave out.
    withoutAlerts: [],

    // Alerts about servers survive a restart of the bridge for this long.
    keepFiringFor: '5m',
    // Attempts: a failing server is asked again every minute.
    downFor: '5m',
    // A cut-off bridge: more than this share of at least so many servers is down.
    cutOffShare: 0.5,
    cutOffServers: 5,
    // Availability of the last hour, with this number of changes between up and down.
    flappingAvailability: 0.9,
    flappingAvailabilityCritical: 0.5,
    flappingChanges: 5,
    // Availability of the last week.
    lowUptime: 0.98,
    // Share of a rate limit that is left in three windows running.
    rateLimitShare: 0.1,
    // A renewal is late; see the reasons beside the alert.
    certificateWarningDays: 7,
    certificateCriticalDays: 1,
    // Silence: at least this long, and so many times the median of the longest
    // silence of a day, where that median is below the limit.
    silenceSeconds: 3600,
    silenceFactor: 3,
    federationUsualSeconds: 86400,
    localUsualSeconds: 6 * 3600,
    // Growth of one kind of storage in a week.
    storageGrowthRatio: 1.25,
    storageGrowthBytes: 5 * 1024 * 1024 * 1024,
    // Storage is predicted for so many days, at the rate of the days before.
    storagePredictionDays: 30,
    storageTrendDays: 7,
    // A wave of sign-ups: at least so many, and so many times what is usual for
    // these hours of the week.
    waveHourUsers: 10,
    waveHourFactor: 4,
    waveSixHoursUsers: 20,
    waveSixHoursFactor: 3,
    // Moderation: at least so many, and so many times the median of a week.
    pendingAccounts: 20,
    pendingFactor: 2,
    openReports: 20,
    openReportsFactor: 2,
    reportDays: 7,
    // Servers that no bridge asks any more, as a share of those of their bridge.
    lostShare: 0.5,
  },
}
