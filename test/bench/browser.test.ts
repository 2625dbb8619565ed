import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchInBrowser } from '../../bench/browser.ts';
import { benchCases } from '../../bench/cases/index.ts';
import { describeRun, nodeContext } from '../../bench/node.ts';
import { label, runCases, sha256 } from '../../bench/run.ts';
import type { Refusal, Results } from '../../bench/types.ts';
import { Unavailable } from '../../bench/unavailable.ts';
import { findChromium } from '../../src/node/chromium.ts';
import { SLOW, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const chromium = await findChromium();
if (!chromium) console.log('skipped 2 tests: no Chromium on this machine');
else if (!THOROUGH)
  console.log('skipped 1 test: the whole short set in a browser (npm run test:all runs it)');

test.skipIf(!chromium)(
  'the cases give the same integers in a browser as in Node, in the same format',
  async () => {
    // Two slow adapters would take minutes over pipelines alone.
    const filter = SLOW ? '-int8' : undefined;
    if (SLOW) console.log('cases in a browser: int8 kernels only (npm run test:all runs every one)');
    const browser = await benchInBrowser({ size: 'tiny', filter });
    const node = await runCases(nodeContext(gpu.runtime, 'tiny'), benchCases('tiny'), {
      ceilings: { f32GFlops: 1, int8Gops: 1, copyGBps: 1 },
      quick: true,
      filter,
    });
    expect(failed(browser!.refused)).toEqual([]);
    expect(failed(node.refused)).toEqual([]);
    const hashes = (cases: typeof node.cases) =>
      cases.filter(({ hash }) => hash).map(({ name, precision, hash }) => [name, precision, hash]);
    expect(hashes(browser!.cases)).toEqual(hashes(node.cases));
    expect(node.cases.filter(({ hash }) => hash).length).toBeGreaterThanOrEqual(8);
    for (const { medianMs, minMs, maxMs, runs, throughput } of browser!.cases) {
      expect(minMs).toBeLessThanOrEqual(medianMs);
      expect(medianMs).toBeLessThanOrEqual(maxMs);
      expect(runs).toBeGreaterThanOrEqual(2);
      expect(throughput.value).toBeGreaterThan(0);
    }
    console.log(`browser: ${browser!.adapter}, ${browser!.platform}; node: ${gpu.runtime.adapter.name}`);
  },
  240_000,
);

/** What was refused though the adapter has the means for it. */
function failed(refused: readonly Refusal[]): Refusal[] {
  return refused.filter(({ unavailable }) => !unavailable);
}

const FIVE_MINUTES = 300_000;

test.skipIf(!chromium || !THOROUGH)(
  'npm run bench:browser -- --quick ends in five minutes with the results format and the integers of Node',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lloyd-bench-'));
    const file = join(folder, 'browser.json');
    try {
      const started = performance.now();
      expect(await runScript(['--quick', '--json', file])).toBe(0);
      expect(performance.now() - started).toBeLessThan(FIVE_MINUTES);
      const results = JSON.parse(await readFile(file, 'utf8')) as Results;
      const own = await describeRun(gpu.runtime, results.ceilings);
      expect(Object.keys(results).sort()).toEqual([...Object.keys(own), 'cases', 'refused'].sort());
      expect(failed(results.refused)).toEqual([]);
      // The browser takes one batch size after the other.
      const integers = results.cases.filter(({ hash }) => hash);
      const hashes = integers.map((entry) => [label(entry), entry.hash] as const).sort(byLabel);
      expect(hashes).toEqual(await hashesInNode());
      expect(hashes.length).toBeGreaterThanOrEqual(20);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  2 * FIVE_MINUTES,
);

function runScript(options: readonly string[]): Promise<number | null> {
  const script = join(import.meta.dirname, '../../scripts/bench-browser.mjs');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', reject);
    child.on('close', resolve);
  });
}

/** Every case of the short set run once, untimed: its label and the hash of its integers. */
async function hashesInNode(): Promise<[string, string][]> {
  const context = nodeContext(gpu.runtime, 'quick');
  const hashes: [string, string][] = [];
  for (const { name, subjects } of benchCases('quick')) {
    for (const subject of subjects) {
      const opened = await subject.open(context).catch((error) => {
        if (error instanceof Unavailable) return null;
        throw error;
      });
      if (!opened) continue;
      try {
        await opened.run();
        if (opened.output) hashes.push([label({ name, ...subject }), await sha256(await opened.output())]);
      } finally {
        await opened.close();
      }
    }
  }
  return hashes.sort(byLabel);
}

const byLabel = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);
