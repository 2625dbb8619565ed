// Reported situations of training.
import { vgg } from 'lloyd';
import { initialize, train } from 'lloyd/tfjs';
import { expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

// microsoft/nni#4443, ziplab/QTool#5: a learning rate that makes the loss NaN: stop, say so, keep the last good state.
test('training that diverges says so and hands over its last checkpoint', async () => {
  const count = 40;
  const data = {
    images: Uint8Array.from({ length: count * 3072 }, (_, i) => (i * 31 + (i >> 8)) % 256),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
  };
  const model = initialize(vgg({ widthDivisor: 32 }), { seed: 1 });
  const run = train(gpu.runtime, model, data, { steps: 12, batch: 20, rate: 1e20 });
  await expect(run).rejects.toMatchObject({ name: 'DivergedError', checkpoint: expect.any(Uint8Array) });
});
