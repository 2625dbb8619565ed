// Files as ONNX Runtime's optimizer writes them.
import { describe, expect, test } from 'vitest';
import { numbersOf } from '../../src/graph/ops/value.ts';
import { readOnnx, supportedNodes, writeOnnx } from '../../src/onnx/index.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { encodeGraph, type OnnxNode } from '../support/onnx-model.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { firstApart, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(91);
const float = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
const microsoft = (
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: OnnxNode['attributes'] = {},
): OnnxNode => ({
  ...{ opType, domain: 'com.microsoft', inputs, outputs, attributes },
});

/** How a file's output differs from ONNX Runtime's. */
async function apart(bytes: Uint8Array, x: ReturnType<typeof float>): Promise<number> {
  const expected = (await runOnOrt(bytes, { x })).y;
  const session = await compile(gpu.runtime, readOnnx(bytes));
  const { y } = await session.run({ x });
  session.destroy();
  expect(y.dims).toEqual([...expected.dims]);
  return firstApart(numbersOf(y), expected.data as Float32Array, 1e-5);
}

describe('FusedConv', () => {
  const fused = (attributes: OnnxNode['attributes'], opset = 13, addend = false) => {
    const x = float(1, 3, 5, 6);
    const inputs = ['x', 'w', 'b', ...(addend ? ['z'] : [])];
    const bytes = encodeGraph({
      opset,
      nodes: [microsoft('FusedConv', inputs, ['y'], { pads: [1, 1, 1, 1], ...attributes })],
      constants: { w: float(4, 3, 3, 3), b: float(4), ...(addend && { z: float(1, 4, 5, 6) }) } as never,
      inputs: { x } as never,
      outputs: { y: 'float32' },
    });
    return { bytes, x };
  };

  test.each([
    [{ activation: 'Relu' }],
    [{ activation: 'Tanh' }],
    [{ activation: 'Sigmoid' }],
    [{ activation: 'LeakyRelu', activation_params: [0.25] }],
    [{ activation: 'HardSigmoid', activation_params: [0.25, 0.5] }],
    [{ activation: 'Clip', activation_params: [-0.5, 0.5] }],
    [{ activation: 'Clip', activation_params: [-0.5, 0.5] }, 9],
    [{ activation: 'Relu' }, 13, true],
    [{}, 13, true],
  ] as [OnnxNode['attributes'], number?, boolean?][])('%j', async (attributes, opset, addend) => {
    const { bytes, x } = fused(attributes, opset, addend);
    expect(await apart(bytes, x)).toBe(-1);
  });

  test('is a convolution again once it is quantized, and in a file of that', async () => {
    const { bytes, x } = fused({ activation: 'Relu' });
    const model = readOnnx(bytes);
    expect(model.graph.nodes.map(({ op }) => op)).toEqual(['FusedConv']);
    expect(supportedNodes(model).refused).toEqual([]);
    const quantized = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 8,
      calibration: [{ x }],
    });
    expect([...quantized.layers.keys()]).toEqual(['FusedConv_0']);
    const written = readOnnx(writeOnnx(quantized, { format: 'qdq' })).graph.nodes.map(({ op }) => op);
    expect(written.slice(-3)).toEqual(['DequantizeLinear', 'Conv', 'Relu']);
  });

  test('with an activation that is none is refused', async () => {
    const model = readOnnx(fused({ activation: 'Sine' }).bytes);
    await expect(compile(gpu.runtime, model)).rejects.toThrow(
      /activation must be one of Relu, .*received "Sine"/,
    );
  });
});

test('FusedGemm is a product again', async () => {
  const x = float(3, 4);
  const bytes = encodeGraph({
    opset: 13,
    nodes: [
      microsoft('FusedGemm', ['x', 'w', 'b'], ['y'], {
        transB: 1,
        activation: 'LeakyRelu',
        activation_alpha: 0.25,
      }),
    ],
    constants: { w: float(5, 4), b: float(5) } as never,
    inputs: { x } as never,
    outputs: { y: 'float32' },
  });
  expect(await apart(bytes, x)).toBe(-1);
});

test('a transformer’s layer: of two operators by one name the domain says which', async () => {
  const x = float(2, 5, 6);
  const constants = {
    ...{
      w: float(6, 18),
      wb: float(18),
      gamma: float(6),
      beta: float(6),
      up: float(6, 8),
      ub: float(8),
      down: float(8, 6),
    },
  };
  const bytes = encodeGraph({
    opset: 13,
    nodes: [
      { opType: 'LayerNormalization', inputs: ['x', 'gamma', 'beta'], outputs: ['normal'], attributes: {} },
      microsoft('Attention', ['normal', 'w', 'wb'], ['attended'], { num_heads: 2 }),
      microsoft('SkipLayerNormalization', ['attended', 'x', 'gamma', 'beta'], ['skipped'], {
        epsilon: 0.001,
      }),
      { opType: 'MatMul', inputs: ['skipped', 'up'], outputs: ['wide'], attributes: {} },
      microsoft('BiasGelu', ['wide', 'ub'], ['active']),
      microsoft('Gelu', ['active'], ['twice']),
      microsoft('FusedMatMul', ['twice', 'down'], ['narrow'], { alpha: 0.5 }),
      microsoft('QuickGelu', ['narrow'], ['y']),
    ],
    constants: constants as never,
    inputs: { x } as never,
    outputs: { y: 'float32' },
  });
  const { total, supported, refused } = supportedNodes(readOnnx(bytes));
  expect([total, supported, refused]).toEqual([8, 8, []]);
  expect(await apart(bytes, x)).toBe(-1);
});
