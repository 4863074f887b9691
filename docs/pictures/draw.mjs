#!/usr/bin/env node
// Draws a dashboard as pictures: bundles the page, serves it with Prometheus
// behind it, and has Chromium look at it. README.md says how to call it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './serve.mjs';

const USAGE = `Usage: draw.mjs --prometheus URL --dashboard FILE --out DIR [OPTIONS]

  --prometheus URL        where Prometheus answers, as in http://127.0.0.1:9090
  --dashboard FILE        the dashboard in Grafana's classic JSON model
  --out DIR               where the pictures go: NAME.png, or NAME-light.png
  --name NAME             [default: dashboard- and the file's name]
  --theme THEME           dark or light [default: dark]
  --server HOST           the server of a dashboard that shows a single one
  --var NAME=VALUE        the value of a variable; may be repeated
  --from TIME --to TIME   as Grafana writes them [default: now-30m, now]
  --scrape-interval TIME  what the data source would be told [default: 15s]
  --width PIXELS          of the dashboard [default: 1440]
  --scale FACTOR          pixels of the picture for each of these [default: 1]
  --crop NAME=TITLE|…     another picture, DIR/NAME.png, of these panels and rows
                          (or the header) only; may be repeated
  --only-crops            not the dashboard as a whole
  --chromium PROGRAM      [default: chromium, or another of its names, on PATH]`;

const OPTIONS = {
  prometheus: { type: 'string' },
  dashboard: { type: 'string' },
  out: { type: 'string' },
  name: { type: 'string' },
  theme: { type: 'string', default: 'dark' },
  server: { type: 'string' },
  var: { type: 'string', multiple: true, default: [] },
  from: { type: 'string', default: 'now-30m' },
  to: { type: 'string', default: 'now' },
  'scrape-interval': { type: 'string', default: '15s' },
  width: { type: 'string', default: '1440' },
  scale: { type: 'string', default: '1' },
  crop: { type: 'string', multiple: true, default: [] },
  'only-crops': { type: 'boolean', default: false },
  chromium: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
};

/** An error that the person who called can do something about. */
class Told extends Error {}

async function main() {
  const options = read();
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const dashboard = parsed(options.dashboard);
  const order = {
    dashboard,
    theme: options.theme,
    width: Number(options.width),
    from: options.from,
    to: options.to,
    scrapeInterval: options['scrape-interval'],
    variables: variables(options, dashboard),
  };
  const name = options.name ?? `dashboard-${basename(options.dashboard, '.json')}`;
  const suffix = options.theme === 'light' ? '-light' : '';
  const crops = options.crop.map((pair) => divided('crop', pair));
  await answers(options.prometheus);
  mkdirSync(options.out, { recursive: true });

  const server = await serve(options.prometheus);
  const browser = await chromium.launch({
    executablePath: options.chromium ?? onPath(['chromium', 'chromium-browser', 'google-chrome']),
    // Chromium refuses to make a sandbox for root; the page is our own.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars'],
  });
  try {
    const page = await browser.newPage({
      viewport: { width: order.width, height: 100 },
      deviceScaleFactor: Number(options.scale),
      timezoneId: 'UTC',
    });
    const panels = await finished(page, server.url, order);
    if (!options['only-crops']) {
      await taken(page, join(options.out, `${name}${suffix}.png`), { fullPage: true });
    }
    for (const [cropName, titles] of crops) {
      const clip = await around(page, titles.split('|'));
      await taken(page, join(options.out, `${cropName}${suffix}.png`), { fullPage: true, clip });
    }
    return reported(panels);
  } finally {
    await browser.close();
    server.close();
  }
}

function read() {
  let options;
  try {
    options = parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new Told(`${error.message}\n\n${USAGE}`);
  }
  if (options.help) {
    return options;
  }
  for (const name of ['prometheus', 'dashboard', 'out']) {
    if (!options[name]) {
      throw new Told(`--${name} is missing\n\n${USAGE}`);
    }
  }
  if (!['dark', 'light'].includes(options.theme)) {
    throw new Told(`--theme is dark or light, not ${options.theme}`);
  }
  return options;
}

function parsed(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Told(`the dashboard ${path} cannot be read: ${error.message}`);
  }
}

function variables(options, dashboard) {
  const list = dashboard.templating?.list ?? [];
  const known = list.map(({ name }) => name);
  const given = options.var.map((pair) => divided('var', pair));
  const unknown = given.find(([name]) => !known.includes(name));
  if (unknown) {
    throw new Told(`the dashboard has no variable ${unknown[0]}; it has ${known.join(', ')}`);
  }
  // The same call draws any dashboard, also one of many servers or of none.
  const one = list.some(({ name, includeAll }) => name === 'server_address' && !includeAll);
  const server = options.server && one ? { server_address: options.server } : {};
  return { ...server, ...Object.fromEntries(given) };
}

/** Before anything is overwritten by a picture of errors. */
async function answers(prometheus) {
  const url = `${prometheus.replace(/\/$/, '')}/api/v1/query?query=fedimeter_target_up`;
  const response = await fetch(url).catch((error) => {
    throw new Told(`Prometheus cannot be asked at ${prometheus}: ${error.cause?.message ?? error.message}`);
  });
  const answer = await response.json().catch(() => undefined);
  if (answer?.status !== 'success') {
    throw new Told(`${url} answers with HTTP ${response.status}, and not as Prometheus does`);
  }
  if (answer.data.result.length === 0) {
    throw new Told(`Prometheus at ${prometheus} has no fedimeter_target_up: does it scrape fedimeter?`);
  }
}

function divided(option, pair) {
  const at = pair.indexOf('=');
  if (at < 1) {
    throw new Told(`--${option} ${pair}: it should be NAME=…`);
  }
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function onPath(names) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (!found) {
    throw new Told(`none of ${names.join(', ')} is on PATH: install Chromium, or name it with --chromium`);
  }
  return found;
}

/** What the page reports of each panel, once they all stand. */
async function finished(page, url, order) {
  const complaints = [];
  page.on('response', (response) => {
    if (response.status() === 404) {
      complaints.push(`${response.url()} is not there`);
    }
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.addInitScript((given) => (window.order = given), order);
  await page.goto(url, { waitUntil: 'load' });
  try {
    await page.waitForFunction(() => window.finished !== undefined, undefined, { timeout: 120_000 });
  } catch (error) {
    throw new Told(`the page did not finish in two minutes: ${complaints.join('; ') || error.message}`);
  }
  // What is far outside the window is not painted.
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: order.width, height });
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(500);
  const result = await page.evaluate(() => window.finished);
  if (result.error) {
    throw new Told(result.error);
  }
  for (const complaint of complaints) {
    console.error(`the page complained: ${complaint}`);
  }
  return result.panels;
}

/** The smallest rectangle that holds these panels and rows. */
async function around(page, titles) {
  const boxes = await page.evaluate(
    (wanted) =>
      wanted.map((title) => {
        const element = [...document.querySelectorAll('[data-panel]')].find(({ dataset }) => dataset.panel === title);
        const box = element?.getBoundingClientRect();
        return box && { left: box.left, top: box.top + scrollY, right: box.right, bottom: box.bottom + scrollY };
      }),
    titles
  );
  const missing = titles.filter((_, index) => !boxes[index]);
  if (missing.length > 0) {
    throw new Told(`the dashboard has no panel or row titled ${missing.join(', ')}`);
  }
  const margin = 8;
  const left = Math.min(...boxes.map((box) => box.left)) - margin;
  const top = Math.min(...boxes.map((box) => box.top)) - margin;
  const right = Math.max(...boxes.map((box) => box.right)) + margin;
  const bottom = Math.max(...boxes.map((box) => box.bottom)) + margin;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

async function taken(page, path, options) {
  await page.screenshot({ path, ...options });
  const pngquant = spawnSync('pngquant', ['--force', '--skip-if-larger', '--strip', '--speed', '1', '--output', path, '256', path]);
  // 98 is pngquant's word for: it would not get smaller.
  const how = pngquant.error ? ', as Chromium writes it: pngquant is not installed' : '';
  if (!pngquant.error && pngquant.status !== 0 && pngquant.status !== 98) {
    throw new Told(`pngquant failed on ${path}: ${pngquant.stderr}`);
  }
  console.log(`${path}: ${Math.ceil(statSync(path).size / 1024)} KiB${how}`);
}

/** Prints what was not drawn as Grafana would, and gives the exit status. */
function reported(panels) {
  for (const { title, type, outcome, notes } of panels) {
    if (outcome !== 'drawn' || notes.length > 0) {
      console.log(`${title} (${type}): ${[outcome, ...notes].join('; ')}`);
    }
  }
  const count = (wanted) => panels.filter(({ outcome }) => outcome === wanted).length;
  console.log(`${count('drawn')} of ${panels.length} panels drawn, ${count('no data')} without data`);
  return count('not drawn') + count('failed') > 0 ? 1 : 0;
}

main().then(
  (status) => (process.exitCode = status),
  (error) => {
    console.error(error instanceof Told ? `draw: ${error.message}` : error);
    process.exitCode = 2;
  }
);
