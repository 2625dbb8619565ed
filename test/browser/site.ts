import { mkdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Screenshots and the built page; git ignores it. */
export const outputFolder = join(root, 'test/output/demo');

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

const BASE = '/some/sub/path/';
/** The same page where the server has no CIFAR-10, as its manifest says. */
export const WITHOUT_IMAGES = 'without-images/';

/** Builds the page and serves it from a sub-path, as a project's page on a shared host would be. */
export async function serveDemo(folder: string): Promise<{ url: string; served: string[]; close(): void }> {
  const site = join(outputFolder, folder);
  await mkdir(outputFolder, { recursive: true });
  await build({
    configFile: join(root, 'demo/vite.config.mjs'),
    // Under a test runner Vite would otherwise take its development mode.
    mode: 'production',
    logLevel: 'warn',
    build: { outDir: site },
  });
  const served: string[] = [];
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    if (!path.startsWith(BASE)) return void response.writeHead(404).end();
    const asked = path.slice(BASE.length);
    const bare = asked.startsWith(WITHOUT_IMAGES);
    const name = bare ? asked.slice(WITHOUT_IMAGES.length) : asked;
    const file = join(site, name === '' || name.endsWith('/') ? `${name}index.html` : name);
    served.push(name);
    try {
      if (bare && /^data\/.*\.bin$/.test(name)) throw new Error('this server has no images');
      const body = await readFile(file);
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
      response.end(bare && name === 'data/manifest.json' ? withoutImages(body) : body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}${BASE}`, served, close: () => void server.close() };
}

function withoutImages(manifest: Buffer): string {
  return JSON.stringify({ ...JSON.parse(manifest.toString()), testImages: 0, calibrationImages: 0 });
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}
