import type { Runtime } from '../gpu/runtime.ts';
import { runOperator } from '../onnx/run-operator.ts';
import { kmeans } from '../quantize/kmeans.ts';
import { linearDequantize, linearQuantize } from '../quantize/linear.ts';
import { roundHalfToEven } from '../reference/round.ts';
import type { LabCheck, LabSection } from './lab-report.ts';
import { matrices } from './svg.ts';

const KMEANS_INPUT = Float32Array.of(
  -0.3747,
  0.0874,
  0.32,
  -0.4868,
  0.4404,
  -0.0402,
  0.2322,
  -0.2024,
  -0.4986,
  0.1814,
  0.3102,
  -0.3942,
  -0.203,
  0.0883,
  -0.4741,
  -0.1592,
  -0.0777,
  -0.3946,
  -0.2128,
  0.2675,
  0.0611,
  -0.1933,
  -0.435,
  0.2928,
  -0.1087,
);

/** Question 1: 2-bit k-means of a 5 x 5 tensor. */
export async function kmeansExample(runtime: Runtime): Promise<LabSection> {
  const lloyd = await kmeans(runtime, KMEANS_INPUT, { bits: 2, init: 'linear' });
  const best = await kmeans(runtime, KMEANS_INPUT, { bits: 2, init: 'optimal' });
  const after = Float32Array.from(best.codes, (code) => best.codebook[code]);
  const mean = (code: number) => {
    const members = KMEANS_INPUT.filter((_, i) => best.codes[i] === code);
    return members.reduce((sum, value) => sum + value, 0) / members.length;
  };
  const drift = Math.max(...[...best.codebook].map((centroid, code) => Math.abs(centroid - mean(code))));
  return {
    title: 'K-means: the 5 x 5 example at 2 bits',
    lines: [
      `25 distinct values become ${new Set(after).size}: ${[...best.codebook].map((c) => c.toFixed(5)).join(', ')}.`,
      `Squared error ${best.inertia.toFixed(6)} at the optimum, ${lloyd.inertia.toFixed(6)} by Lloyd from evenly spaced centroids;`,
      "the lab's figure shows a local optimum of 0.229404, which random starts end in.",
    ],
    checks: [
      { name: '4 distinct values', passed: new Set(after).size === 4 },
      { name: 'each centroid is the mean of its members', passed: drift < 1e-6 },
      { name: 'squared error at most 0.2295', passed: lloyd.inertia <= 0.2295 },
      { name: 'the optimum is 0.079222', passed: Math.abs(best.inertia - 0.079222) < 1e-6 },
    ],
    pictures: [
      {
        file: 'kmeans-example.svg',
        svg: matrices('2-bit k-means', [
          { title: 'before', values: KMEANS_INPUT, columns: 5, digits: 2 },
          { title: 'after', values: after, columns: 5, digits: 2 },
        ]),
      },
    ],
  };
}

const LINEAR_INPUT = Float32Array.of(
  0.0523,
  0.6364,
  -0.0968,
  -0.002,
  0.194,
  0.75,
  0.5507,
  0.6188,
  -0.1734,
  0.4677,
  -0.0669,
  0.3836,
  0.4297,
  0.6267,
  -0.0695,
  0.1536,
  -0.0038,
  0.6075,
  0.6817,
  0.0601,
  0.6446,
  -0.25,
  0.5376,
  -0.2226,
  0.2333,
);
const LINEAR_CODES = [-1, 1, -1, -1, 0, 1, 1, 1, -2, 0, -1, 0, 0, 1, -1, -1, -1, 1, 1, -1, 1, -2, 1, -2, 0];

/** Question 4: 2-bit linear quantization of a 5 x 5 tensor with scale 1/3 and zero point -1. */
export async function linearExample(runtime: Runtime): Promise<LabSection> {
  const given = await linearQuantize(runtime, LINEAR_INPUT, {
    bits: 2,
    shape: [5, 5],
    scale: 1 / 3,
    zeroPoint: -1,
  });
  const chosen = await linearQuantize(runtime, LINEAR_INPUT, {
    bits: 2,
    shape: [5, 5],
    scheme: 'asymmetric',
  });
  const after = await linearDequantize(runtime, given);
  return {
    title: 'Linear: the 5 x 5 example at 2 bits',
    lines: [
      'Scale 1/3 and zero point -1 are what the range -0.25 to 0.75 asks for.',
      `Codes: ${[...given.codes].join(' ')}.`,
    ],
    checks: [
      equal('codes', given.codes, LINEAR_CODES),
      equal('codes, with scale and zero point chosen', chosen.codes, LINEAR_CODES),
      {
        name: 'scale 1/3, zero point -1',
        passed: chosen.scale[0] === Math.fround(1 / 3) && chosen.zeroPoint[0] === -1,
      },
    ],
    pictures: [
      {
        file: 'linear-example.svg',
        svg: matrices('2-bit linear', [
          { title: 'before', values: LINEAR_INPUT, columns: 5, digits: 2 },
          { title: 'codes', values: given.codes, columns: 5, digits: 0 },
          { title: 'after', values: after, columns: 5, digits: 2 },
        ]),
      },
    ],
  };
}

const FC_INPUT = Float32Array.of(
  0.6118,
  0.7288,
  0.8511,
  0.2849,
  0.8427,
  0.7435,
  0.4014,
  0.2794,
  0.3676,
  0.2426,
  0.1612,
  0.7684,
  0.6038,
  0.04,
  0.224,
  0.4237,
  0.6565,
  0.6878,
  0.467,
  0.347,
  0.2281,
  0.8074,
  0.0178,
  0.3999,
  0.1863,
  0.3567,
  0.6104,
  0.0497,
  0.0577,
  0.299,
  0.6687,
  0.8626,
);
const FC_WEIGHT = Float32Array.of(
  0.12626,
  -0.14752,
  0.08191,
  0.24982,
  -0.10495,
  -0.19227,
  -0.1855,
  -0.157,
  0.27624,
  -0.43835,
  0.05101,
  -0.1202,
  -0.20344,
  0.10202,
  -0.20799,
  0.24112,
  -0.38216,
  -0.28047,
  0.085238,
  -0.42504,
  -0.20952,
  0.32018,
  -0.33619,
  0.20219,
  0.089233,
  -0.10124,
  0.11467,
  0.20091,
  0.11438,
  -0.42427,
  0.10178,
  -0.00030941,
  -0.018837,
  -0.21256,
  -0.45285,
  0.20949,
  -0.38684,
  -0.171,
  -0.45331,
  -0.20433,
  -0.20038,
  -0.053757,
  0.18997,
  -0.36866,
  0.055484,
  0.15643,
  -0.23538,
  0.21103,
  -0.26875,
  0.24984,
  -0.23514,
  0.25527,
  0.20322,
  0.37675,
  0.061563,
  0.17201,
  0.33541,
  -0.33555,
  -0.43349,
  0.43043,
  -0.20498,
  -0.18366,
  -0.091553,
  -0.41168,
);
const FC_BIAS = Float32Array.of(0.1954, -0.2756, 0.3113, 0.1149, 0.4274, 0.2429, -0.1721, -0.2502);
const FC_INPUT_QPARAMS = { scale: 0.281600009649992, zeroPoint: -2 };
const FC_OUTPUT_QPARAMS = { scale: 0.4681522846221924, zeroPoint: 0 };
const FC_OUTPUT = [
  0, -1, 0, -1, -1, 0, 1, -2, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 1, -1, -2,
];

/** Question 8: a fully connected layer in 2-bit integers; the products are summed by the library's integer matmul. */
export async function fullyConnectedExample(runtime: Runtime): Promise<LabSection> {
  const [batch, inputs, outputs] = [4, 8, 8];
  const input = await linearQuantize(runtime, FC_INPUT, {
    bits: 2,
    shape: [batch, inputs],
    ...FC_INPUT_QPARAMS,
  });
  const weight = await linearQuantize(runtime, FC_WEIGHT, { bits: 2, shape: [outputs, inputs], axis: 0 });
  const bias = Int32Array.from(FC_BIAS, (b, o) =>
    roundHalfToEven(Math.fround(b / Math.fround(weight.scale[o] * FC_INPUT_QPARAMS.scale))),
  );
  const rowSum = (o: number) => {
    let sum = 0;
    for (let i = o * inputs; i < (o + 1) * inputs; i++) sum += weight.codes[i];
    return sum;
  };
  const folded = bias.map((b, o) => b - rowSum(o) * FC_INPUT_QPARAMS.zeroPoint);
  const transposed = Int8Array.from(
    { length: inputs * outputs },
    (_, i) => weight.codes[(i % outputs) * inputs + Math.floor(i / outputs)],
  );
  const [product] = await runOperator(
    runtime,
    'MatMulInteger',
    [
      { dtype: 'int8', dims: [batch, inputs], data: input.codes },
      { dtype: 'int8', dims: [inputs, outputs], data: transposed },
    ],
    {},
  );
  const codes = Array.from(product.data as Int32Array, (sum, i) => {
    const o = i % outputs;
    const multiplier = Math.fround((FC_INPUT_QPARAMS.scale * weight.scale[o]) / FC_OUTPUT_QPARAMS.scale);
    const code = roundHalfToEven(
      Math.fround(Math.fround((sum + folded[o]) * multiplier) + FC_OUTPUT_QPARAMS.zeroPoint),
    );
    return Math.min(Math.max(code, -2), 1) + 0;
  });
  return {
    title: 'Linear: the quantized fully connected layer at 2 bits',
    lines: [
      'Input scale 0.2816 and zero point -2, output scale 0.46815 and zero point 0, a scale a row of weights.',
      `q_bias: ${bias.join(' ')}; with the zero point folded in, Q_bias: ${folded.join(' ')}.`,
    ],
    checks: [
      equal('q_bias', bias, [3, -2, 3, 1, 3, 2, -2, -2]),
      equal('Q_bias', folded, [-1, 0, -3, -1, -3, 0, 2, -4]),
      equal('output codes', codes, FC_OUTPUT),
    ],
    pictures: [
      {
        file: 'fully-connected.svg',
        svg: matrices('Quantized fully connected layer', [
          { title: 'input codes', values: input.codes, columns: inputs, digits: 0 },
          { title: 'weight codes', values: weight.codes, columns: inputs, digits: 0 },
          { title: 'output codes', values: codes, columns: outputs, digits: 0 },
        ]),
      },
    ],
  };
}

function equal(name: string, actual: ArrayLike<number>, expected: readonly number[]): LabCheck {
  const passed = actual.length === expected.length && expected.every((value, i) => value === actual[i]);
  return { name: `${name} as published`, passed };
}
