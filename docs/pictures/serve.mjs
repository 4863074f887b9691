// The page and its files on a free port of the loopback address, with
// Prometheus behind /prometheus/ so that the page asks its own origin.

import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const MODULES = join(HERE, 'node_modules');
/** Where the components look for icons and fonts, and where these are. */
const STATIC = [
  [/^\/public\/build\/img\/(.+\.svg)$/, (name) => `@grafana/ui/dist/public/img/${name}`],
  [/^\/public\/fonts\/inter\/Inter-(\w+)\.woff2$/, (name) => `@fontsource/inter/files/inter-latin-${INTER[name]}.woff2`],
  [/^\/public\/fonts\/roboto\/(.+)\.woff2$/, () => '@fontsource/roboto-mono/files/roboto-mono-latin-400-normal.woff2'],
];
const INTER = { Regular: '400-normal', Medium: '500-normal', Italic: '400-italic', MediumItalic: '500-italic' };
const PAGE = `<!doctype html>
<html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="/page.css">
<body style="margin: 0"><div id="dashboard"></div><script src="/page.js"></script></body></html>`;
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };

export async function serve(prometheus) {
  const files = await bundled();
  const server = createServer((request, response) => {
    answer(request.url, files, prometheus).then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      (error) => {
        const text = `Prometheus at ${prometheus} cannot be asked: ${error.cause?.message ?? error.message}`;
        response.writeHead(502, { 'content-type': 'application/json' }).end(JSON.stringify({ status: 'error', error: text }));
      }
    );
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

async function bundled() {
  const { outputFiles } = await build({
    entryPoints: { page: join(HERE, 'src/page.tsx') },
    outdir: '/',
    bundle: true,
    write: false,
    minify: true,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    // The code editor that comes with the components brings an icon font.
    loader: { '.svg': 'dataurl', '.ttf': 'empty' },
    logLevel: 'error',
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

async function answer(url, files, prometheus) {
  const { pathname, search } = new URL(url, 'http://localhost');
  if (pathname.startsWith('/prometheus/')) {
    const base = prometheus.replace(/\/$/, '');
    const from = await fetch(base + pathname.slice('/prometheus'.length) + search);
    return { status: from.status, type: 'application/json', body: await from.text() };
  }
  if (pathname === '/') {
    return { status: 200, type: TYPES['.html'], body: PAGE };
  }
  const type = TYPES[extname(pathname)] ?? 'application/octet-stream';
  const [known, path] = STATIC.find(([pattern]) => pattern.test(pathname)) ?? [];
  const body = files.get(pathname) ?? (known && (await readFile(join(MODULES, pathname.replace(known, (_, name) => path(name))))));
  return body ? { status: 200, type, body } : { status: 404, type: 'text/plain', body: 'not here' };
}
