// Outputs of more than one pixel: all of them come back, of every image, however the network ends.
import { describe, expect, test } from 'vitest';
import type { ImageModel } from '../../src/model/graph.ts';
import { inferShapes } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { compareModel } from '../../src/run/compare.ts';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { inceptionGraph, withParameters } from '../support/branching-models.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { onnxLogits } from '../support/onnx-graph.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const random = seeded(21);
const IMAGES = 7;
const { height, width, channels } = inceptionGraph.input;
const images = Uint8Array.from({ length: IMAGES * height * width * channels }, () => random.integer(0, 255));

async function outputOf(model: ImageModel | QuantizedModel, batch: number) {
  const session = await compile(context.runtime, model, { batch });
  try {
    return { got: await session.run(images), classes: session.classes };
  } finally {
    session.destroy();
  }
}

/** ONNX Runtime's answer with channels last. */
async function expected(model: ImageModel): Promise<Float32Array> {
  const nchw = await onnxLogits(model, images);
  const shape = inferShapes(model.graph).get(model.graph.output)!;
  const area = shape.height * shape.width;
  return Float32Array.from(nchw, (_, i) => {
    const image = Math.floor(i / (area * shape.channels));
    const pixel = Math.floor(i / shape.channels) % area;
    return nchw[(image * shape.channels + (i % shape.channels)) * area + pixel];
  });
}

// A convolution, one with its max-pool, a pool, a clamp after another, and a flattened concatenation.
for (const output of ['b2', 'f.pool', 'd', 'g.relu', 'flat']) {
  describe(`the output is ${output}`, () => {
    const model = withParameters({ ...inceptionGraph, output });

    test('in floats it is all of ONNX Runtime’s, of a ragged last batch too', async () => {
      const want = await expected(model);
      const { got, classes } = await outputOf(model, 4);
      expect(got).toHaveLength(want.length);
      expect(classes).toBe(want.length / IMAGES);
      for (const [i, value] of got.entries()) expect(value).toBeCloseTo(want[i], 4);
    });

    // The lab's rule leaves int8 where a convolution ends the network, the others float.
    for (const requantize of output === 'b2' ? (['ort-f32', 'lab'] as const) : (['ort-f32'] as const)) {
      test(`in integers by ${requantize} it is all of the CPU twins’`, async () => {
        const options = { method: 'linear', bits: 8, calibration: images, requantize } as const;
        const integers = await quantizeModel(context.runtime, model, options);
        const { got } = await outputOf(integers, 3);
        // The twin of a float output does not pool.
        if (output !== 'f.pool') expect(got).toEqual(int8Logits(integers, images));
        expect(logitSqnrDb(got, await expected(model))).toBeGreaterThan(20);
      });
    }
  });
}

test('a comparison and a codebook network see every value of the output', async () => {
  const model = withParameters({ ...inceptionGraph, output: 'b2' });
  const seen: number[] = [];
  await compareModel(context.runtime, model, images, new Uint8Array(IMAGES), {
    calibration: images,
    rows: ['fp32', 'kmeans-8'],
    onRow: (_, measured) => seen.push(measured!.logits.length),
  });
  expect(seen).toEqual([IMAGES * height * width * 6, IMAGES * height * width * 6]);
});
