// What the page fetches beside its own code: weights from the clone, images from the CIFAR-10 cache.
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { loadCifar10 } from '../src/node/cifar10.ts';

// Vite bundles its config before running it, so paths start from the resolved root, not from this file.
const weightsFolder = (config) => fileURLToPath(new URL('../weights/', `file://${config.root}/`));
const TEST_IMAGES = 1000;
const CALIBRATION_IMAGES = 64;

/** Serves, and emits into the build, `data/manifest.json`, `data/*.bin` and `weights/*.safetensors`. */
export function demoData() {
  let config;
  let images;
  const load = () => (images ??= imageFiles());
  return {
    name: 'lloyd-demo-data',
    configResolved(resolved) {
      config = resolved;
    },
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const path = pathOf(request.url ?? '');
        // Vite's own middleware, which comes next, would decode it too.
        if (path === undefined) return void response.writeHead(400).end('not a path');
        try {
          if (path.startsWith('/weights/') && path.endsWith('.safetensors')) {
            const file = join(weightsFolder(config), basename(path));
            const found = await stat(file).catch(() => null);
            if (!found?.isFile()) return void response.writeHead(404).end('no such weights');
            response.setHeader('content-length', found.size);
            response.setHeader('content-type', 'application/octet-stream');
            // Whoever leaves in the middle is nobody's error.
            pipeline(createReadStream(file), response, () => {});
          } else if (path.startsWith('/data/')) {
            const files = await dataFiles(config, await load());
            const body = files.get(path.slice(1));
            if (!body) return next();
            response.setHeader(
              'content-type',
              path.endsWith('.json') ? 'application/json' : 'application/octet-stream',
            );
            response.end(body);
          } else next();
        } catch (error) {
          next(error);
        }
      });
    },
    async generateBundle() {
      for (const [fileName, source] of await dataFiles(config, await load())) {
        this.emitFile({ type: 'asset', fileName, source });
      }
      for (const name of await weightNames(config)) {
        const source = await readFile(join(weightsFolder(config), name));
        this.emitFile({ type: 'asset', fileName: `weights/${name}`, source });
      }
    },
  };
}

/** The decoded path of a request; undefined where it is none: `GET /%`, a NUL, or no path at all. */
function pathOf(url) {
  try {
    const path = decodeURIComponent(url.split(/[?#]/)[0]);
    return path.startsWith('/') && !path.includes('\0') ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Prints what the page weighs compressed, without weights, images and what loads later. */
export function pageWeight() {
  return {
    name: 'lloyd-page-weight',
    apply: 'build',
    enforce: 'post',
    writeBundle(_, bundle) {
      const size = (entry) => gzipSync(entry.code ?? entry.source).length;
      const pages = Object.values(bundle).filter(({ fileName }) => /\.(js|css|html)$/.test(fileName));
      // What a button asks for: demo/vite.config.mjs names what tfjs loads into.
      const lateAs = (name) => pages.filter(({ fileName }) => fileName.includes(name));
      const [tfjs, camera] = [lateAs('tfjs'), lateAs('camera-')];
      const late = [...tfjs, ...camera];
      const sum = (entries) => entries.reduce((total, entry) => total + size(entry), 0) / 1000;
      const first = sum(pages.filter((entry) => !late.includes(entry)));
      this.info(
        `page weight: ${first.toFixed(1)} kB gzip (limit 400), when asked for tfjs ${sum(tfjs).toFixed(1)} kB, the embed page's camera ${sum(camera).toFixed(1)} kB`,
      );
      if (first > 400)
        this.error(`the page must stay under 400 kB compressed; it has ${first.toFixed(1)} kB`);
    },
  };
}

async function weightNames(config) {
  const names = await readdir(weightsFolder(config));
  return names.filter((name) => name.endsWith('.safetensors')).sort();
}

async function dataFiles(config, { test, calibration }) {
  const manifest = {
    weights: await weightNames(config),
    testImages: test.length / 3073,
    calibrationImages: calibration.length / 3073,
  };
  return new Map([
    ['data/manifest.json', JSON.stringify(manifest)],
    ...(test.length ? [['data/test-images.bin', test]] : []),
    ...(calibration.length ? [['data/calibration-images.bin', calibration]] : []),
  ]);
}

/** The first images of each split in CIFAR-10's own layout; none, with a word, where they cannot be had. */
async function imageFiles() {
  try {
    const test = toRecords(await loadCifar10('test', { limit: TEST_IMAGES }));
    const calibration = toRecords(await loadCifar10('train', { limit: CALIBRATION_IMAGES }));
    return { test, calibration };
  } catch (error) {
    console.warn(`no test images: ${error.message}\nthe page will ask for a CIFAR-10 batch file instead`);
    return { test: new Uint8Array(), calibration: new Uint8Array() };
  }
}

/** Label, then the red, green and blue planes. */
function toRecords({ images, labels, count }) {
  const bytes = new Uint8Array(count * 3073);
  for (let i = 0; i < count; i++) {
    bytes[i * 3073] = labels[i];
    for (let p = 0; p < 3072; p++)
      bytes[i * 3073 + 1 + (p % 3) * 1024 + Math.floor(p / 3)] = images[i * 3072 + p];
  }
  return bytes;
}
