// The committed VGG as ONNX files of every form: ONNX Runtime gives every image the class that it has here.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as node from 'onnxruntime-node';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Model } from '../../src/model/graph.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { loadCifar10 } from '../../src/node/cifar10.ts';
import { type CodeType, type OnnxFormat, readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { readModelFile } from '../../src/run/file.ts';
import { topOne } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { decodedTerms, modelTerms, onnxProto, onnxRuntimeWeb } from '../support/other-tools.ts';
import { THOROUGH, useRuntime } from '../support/runtime.ts';

const IMAGES = THOROUGH ? 256 : 16;
const BATCH = 16;
const CLASSES = 10;
const loaded = await Promise.all([
  loadCifar10('test', { limit: IMAGES }),
  loadCifar10('train', { limit: 64 }),
]).catch((error: Error) => error);
if (loaded instanceof Error) console.log(`the VGG's files in ONNX Runtime: 16 skipped: ${loaded.message}`);
const [decode, web] = loaded instanceof Error ? [] : [await onnxProto(), await onnxRuntimeWeb()];

const gpu = useRuntime();

describe.skipIf(loaded instanceof Error)('a VGG in ONNX Runtime', () => {
  const [{ images }, calibration] = loaded instanceof Error ? [{ images: new Uint8Array() }] : loaded;
  let int8: QuantizedModel;
  let want: Float32Array;

  beforeAll(async () => {
    const path = fileURLToPath(new URL('../../weights/vgg-cifar10.safetensors', import.meta.url));
    const model = readModelFile(readFileSync(path)) as Model;
    const options = { method: 'linear', bits: 8, calibration: calibration!.images } as const;
    int8 = await quantizeModel(gpu.runtime, model, options);
    want = await ownLogits(int8);
  }, 600_000);

  async function ownLogits(network: Parameters<typeof compile>[1]): Promise<Float32Array> {
    const session = await compile(gpu.runtime, network, { batch: BATCH });
    const logits = new Float32Array(IMAGES * CLASSES);
    for (let i = 0; i < IMAGES; i += BATCH) {
      logits.set(await session.run(images.subarray(i * 3072, (i + BATCH) * 3072)), i * CLASSES);
    }
    session.destroy();
    return logits;
  }

  async function ortLogits(bytes: Uint8Array, optimized: boolean, ort = node): Promise<Float32Array> {
    const session = await ort.InferenceSession.create(bytes, {
      executionProviders: [ort === node ? 'cpu' : 'wasm'],
      graphOptimizationLevel: optimized ? 'all' : 'disabled',
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    const logits = new Float32Array(IMAGES * CLASSES);
    for (let i = 0; i < IMAGES; i += BATCH) {
      const data = Float32Array.from(images.subarray(i * 3072, (i + BATCH) * 3072), (pixel) => pixel / 255);
      const made = await session.run({ input: new ort.Tensor(data, [BATCH, 32, 32, 3]) });
      logits.set(Object.values(made)[0].data as Float32Array, i * CLASSES);
    }
    await session.release();
    return logits;
  }

  // int8 weights are multiplied by uint8 activations, wherever ONNX Runtime has those, with pairs of products that
  // saturate at 16 bits, unless the processor has VNNI: of these combinations the counts are printed only.
  const combinations = (['qdq', 'qoperator'] as OnnxFormat[]).flatMap((format) =>
    (['int8', 'uint8'] as CodeType[]).flatMap((activationType) =>
      (['int8', 'uint8'] as CodeType[]).flatMap((weightType) =>
        [false, true].map((optimized) => {
          const unsignedBySigned =
            weightType === 'int8' && (format === 'qdq' ? optimized : activationType === 'uint8');
          return { format, activationType, weightType, optimized, exact: !unsignedBySigned };
        }),
      ),
    ),
  );

  let written: { name: string; bytes: Uint8Array } | undefined;

  test.each(combinations)(
    '$format, activations $activationType, weights $weightType, optimized: $optimized',
    async ({ format, activationType, weightType, optimized, exact }) => {
      const name = `${format}, activations ${activationType}, weights ${weightType}`;
      if (written?.name !== name) {
        written = { name, bytes: writeOnnx(int8, { format, activationType, weightType }) };
      }
      const { bytes } = written;
      if (format === 'qoperator' && activationType === 'int8' && weightType === 'uint8') {
        // ONNX has that QLinearConv, ONNX Runtime's CPU provider doesn't.
        await expect(ortLogits(bytes, optimized)).rejects.toThrow(
          /Could not find an implementation for QLinear/,
        );
        return;
      }
      const logits = await ortLogits(bytes, optimized);
      const [got, own] = [topOne(logits, CLASSES), topOne(want, CLASSES)];
      const agree = got.filter((top, i) => top === own[i]).length;
      const largest = Math.max(...want.map(Math.abs));
      const apart = Math.max(...logits.map((value, i) => Math.abs(value - want[i]))) / largest;
      console.log(
        `${name}, ${optimized ? 'optimized' : 'not optimized'}: top-1 of ${agree} of ${IMAGES} images as here, ` +
          `logits ${apart.toExponential(1)} of the largest apart`,
      );
      if (!exact) return;
      expect(got).toEqual(own);
      expect(apart).toBeLessThan(0.02);
    },
    600_000,
  );

  test.skipIf(!decode).each(['qdq', 'qoperator'] as OnnxFormat[])('onnx-proto decodes %s', (format) => {
    const bytes = writeOnnx(int8, { format });
    const terms = decodedTerms(decode!(bytes));
    expect(terms).toEqual(modelTerms(readOnnx(bytes)));
    console.log(
      `${format}: ${terms.nodes.length} nodes and ${terms.initializers.length} initializers as here`,
    );
  });

  test.skipIf(!web).each(['qdq', 'qoperator'] as OnnxFormat[])(
    'ONNX Runtime Web runs %s',
    async (format) => {
      const got = topOne(await ortLogits(writeOnnx(int8, { format }), true, web!), CLASSES);
      const own = topOne(want, CLASSES);
      const agree = got.filter((top, i) => top === own[i]).length;
      console.log(`${format}: top-1 of ${agree} of ${IMAGES} images as here`);
      expect(got).toEqual(own);
    },
    600_000,
  );
});
