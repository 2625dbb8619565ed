// Graphs of ONNX's operators that nobody drew, compiled and held to their definition in float64.
import { expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf } from '../../src/graph/ops/value.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { writeOnnx } from '../../src/onnx/index.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import type { RandomGraph } from '../support/drawing.ts';
import { graphText, minimizeGraph } from '../support/minimize-graph.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { drawGraph } from '../support/random-graphs.ts';
import { THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
/** `LLOYD_GRAPHS` says another number, `LLOYD_GRAPH` the first one. */
const COUNT = Number(process.env.LLOYD_GRAPHS ?? (THOROUGH ? 2000 : 25));
const FIRST = Number(process.env.LLOYD_GRAPH ?? 0);
/** Of an output's largest element; graphs whose float32 could drift by half as much are not drawn. */
const TOLERANCES: Record<string, number> = { float32: 1e-5, float16: 2 ** -11 + 1e-5 };

/** How a session's outputs differ from the definition, or null. */
async function apart(
  { model, inputs, shapes, kernels }: RandomGraph,
  prepare: (model: GraphModel) => Promise<GraphModel | QuantizedModel> = async (own) => own,
): Promise<string | null> {
  const want = interpretReference(model, inputs);
  try {
    const session = await compile(gpu.runtime, await prepare(model), { shapes, kernels });
    try {
      const got = await session.run(inputs);
      const again = await session.run(inputs);
      if (`${Object.keys(got)}` !== `${Object.keys(want)}`) return `outputs ${Object.keys(got)}`;
      for (const [name, { dtype, dims, data }] of Object.entries(want)) {
        const tensor = got[name];
        if (tensor.dtype !== dtype) return `${name} is ${tensor.dtype}, not ${dtype}`;
        if (`${tensor.dims}` !== `${dims}`) return `${name} has dims [${tensor.dims}], not [${dims}]`;
        const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        // The smallest float16 are 2^-24 apart.
        const allowed = (TOLERANCES[dtype] ?? 0) * largest + (dtype === 'float16' ? 2 ** -25 : 0);
        const numbers = numbersOf(tensor);
        const at = data.findIndex((x, i) => !(Math.abs(numbers[i] - x) <= allowed));
        if (at >= 0)
          return `${name} [${dims}] has ${numbers[at]} at ${at}, not ${data[at]} (largest ${largest})`;
        if (`${again[name].data}` !== `${tensor.data}`) return `${name} differs at a second run`;
      }
      return null;
    } finally {
      session.destroy();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

/** What went wrong, whatever its names and numbers. */
const kindOf = (found: string | null) =>
  found && (/ (has|is|differs) /.exec(found)?.[1] ?? found.replace(/\w*\d[\w:#/]*/g, ''));

test(`${COUNT} random graphs compute what their operators are defined to`, async () => {
  const drawn = new Map<string, number>();
  const wrong: string[] = [];
  for (let seed = FIRST; seed < FIRST + COUNT && wrong.length < 12; seed++) {
    const graph = drawGraph(seed);
    for (const { op } of graph.model.graph.nodes) drawn.set(op, (drawn.get(op) ?? 0) + 1);
    const found = await apart(graph);
    if (!found) continue;
    const small = await minimizeGraph(graph, async (next) => kindOf(await apart(next)) === kindOf(found));
    wrong.push(`${await apart(small)}\n${graphText(small)}`);
  }
  const counted = [...drawn].sort(([a], [b]) => (a < b ? -1 : 1)).map(([op, count]) => `${op} ${count}`);
  console.log(`${COUNT} graphs, ${drawn.size} operators: ${counted.join(', ')}`);
  expect(wrong.join('\n\n')).toBe('');
  expect(drawn.size).toBeGreaterThan(COUNT >= 25 ? 40 : 0);
}, 3_600_000);

const QUANTIZED = Math.ceil(COUNT * 0.4);

test(`${QUANTIZED} of them with codebooks that hold every weight compute the same`, async () => {
  const wrong: string[] = [];
  let layers = 0;
  for (let seed = FIRST, tried = 0; tried < QUANTIZED && wrong.length < 12; seed++) {
    const graph = drawGraph(seed);
    const { nodes } = graph.model.graph;
    const weighted = nodes.filter(({ op }) => ['Conv', 'Gemm', 'MatMul'].includes(op));
    const sizes = weighted.map(({ inputs }) => graph.model.parameters.get(inputs[1]!)?.data.length ?? 0);
    const most = Math.max(0, ...sizes);
    if (most === 0 || most > 256) continue;
    tried++;
    const codebooks = async (model: GraphModel) => {
      const options = { method: 'kmeans', bits: 8, shapes: graph.shapes } as const;
      const quantized = await quantizeModel(gpu.runtime, model, options);
      layers += quantized.layers.size;
      return quantized;
    };
    const found = await apart(graph, codebooks);
    if (found) wrong.push(`${found}\n${graphText(graph)}`);
  }
  console.log(`${layers} layers with codebooks`);
  expect(wrong.join('\n\n')).toBe('');
  expect(layers).toBeGreaterThan(QUANTIZED >= 10 ? QUANTIZED / 4 : -1);
}, 3_600_000);

/** ONNX has it and ONNX Runtime's CPU provider not, or a newer opset has no words for it: there is no witness then. */
const NO_WITNESS =
  /Dilation not supported for AutoPadType|NOT_IMPLEMENTED|Could not find an implementation|nn\/lrn\.cc|padding values must be non-negative|ShapeInferenceError|must be able to say what every node/;

/** Where a code more or less is another index or branch, and pools that ONNX Runtime pads as if they were not dilated. */
const jumps = ({ op, attributes }: GraphModel['graph']['nodes'][number]) =>
  /^(TopK|ArgM|Less|Greater|Equal|Where|Floor|Ceil|Round|Sign|Mod|MeanVariance|Hardmax)/.test(op) ||
  (/Pool$/.test(op) && `${attributes.auto_pad}`.startsWith('SAME') && attributes.dilations !== undefined);

test(`${QUANTIZED} of them in int8 are what ONNX Runtime makes of their QDQ files`, async () => {
  const wrong: string[] = [];
  let [layers, without, tried, stepped] = [0, 0, 0, 0];
  for (let seed = FIRST; tried < QUANTIZED && wrong.length < 12; seed++) {
    const graph = drawGraph(seed);
    const { model, inputs, shapes } = graph;
    const weighted = ({ op, inputs: own }: (typeof model.graph.nodes)[number]) =>
      ['Conv', 'Gemm', 'MatMul'].includes(op) && model.parameters.has(own[1]!);
    if (!model.graph.nodes.some(weighted) || model.graph.nodes.some(jumps)) continue;
    tried++;
    let found: string | null = null;
    let steps = false;
    try {
      const options = { method: 'linear', bits: 8, calibration: [inputs], shapes } as const;
      const quantized = await quantizeModel(gpu.runtime, model, options);
      const session = await compile(gpu.runtime, quantized, { shapes });
      const got = await session.run(inputs);
      session.destroy();
      const want = await runOnOrt(writeOnnx(quantized, { format: 'qdq', shapes }), inputs);
      layers += quantized.layers.size;
      for (const [name, tensor] of Object.entries(got)) {
        const [own, theirs] = [
          numbersOf(tensor),
          numbersOf({ ...tensor, data: want[name].data } as OnnxTensor),
        ];
        const largest = theirs.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const apart = theirs.reduce((most, x, i) => Math.max(most, Math.abs(own[i] - x)), 0);
        if (Number.isNaN(apart) || apart > 1e-5 * largest) steps = true;
        if (!(apart <= 0.05 * largest))
          found ??= `${name} [${tensor.dims}] is ${apart} apart (largest ${largest})`;
      }
      if (steps) stepped++;
    } catch (error) {
      const { message } = error as Error;
      if (NO_WITNESS.test(message)) without++;
      else found = message;
    }
    if (found) wrong.push(`${found}\n${graphText(graph)}`);
  }
  console.log(
    `${layers} integer layers; ${without} of ${tried} graphs have no witness, ${stepped} are a code apart`,
  );
  expect(wrong.join('\n\n')).toBe('');
  expect(without).toBeLessThanOrEqual(tried / 4);
  // A norm's summand in 127ths of a step, float16 that is float32 in the file, and sums of codes may give the next code.
  expect(stepped).toBeLessThanOrEqual(Math.max(2, tried / 20));
  expect(layers).toBeGreaterThan(QUANTIZED >= 10 ? QUANTIZED / 4 : -1);
}, 3_600_000);
