import { expect, test } from 'vitest';
import { benchInBrowser } from '../../bench/browser.ts';
import { benchCases } from '../../bench/cases/index.ts';
import { nodeContext } from '../../bench/node.ts';
import { runCases } from '../../bench/run.ts';
import { findChromium } from '../../src/node/chromium.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const chromium = await findChromium();
if (!chromium) console.log('skipped 1 test: no Chromium on this machine');

test.skipIf(!chromium)(
  'the cases give the same integers in a browser as in Node, in the same format',
  async () => {
    const browser = await benchInBrowser({ size: 'tiny' });
    const node = await runCases(nodeContext(gpu.runtime, 'tiny'), benchCases('tiny'), {
      ceilings: { f32GFlops: 1, int8Gops: 1, copyGBps: 1 },
      quick: true,
    });
    expect(browser!.refused).toEqual([]);
    expect(node.refused).toEqual([]);
    const hashes = (cases: typeof node.cases) =>
      cases.map(({ name, precision, hash }) => [name, precision, hash]);
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
