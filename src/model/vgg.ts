import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type Tensor as FileTensor, toFloat32 } from '../io/tensor.ts';
import type { ImageGraph, ImageModel, ImageNode } from './graph.ts';
import { checkMap, parameterShapes } from './parameters.ts';

/** Options of {@link vgg}. */
export interface VggOptions {
  /** A state dict with the lab's names: `backbone.conv0.weight`, `backbone.bn0.running_mean`, `classifier.bias`, ... */
  parameters?: ReadonlyMap<string, Tensor | FileTensor>;
  /** Divides the lab's channel counts, for small networks in tests and demonstrations; as the parameters have them, or 1. */
  widthDivisor?: number;
  /** As the classifier has them, or 10. */
  classes?: number;
}

const CHANNELS = [64, 128, 'pool', 256, 256, 'pool', 512, 512, 'pool', 512, 512, 'pool'] as const;

/**
 * The VGG of MIT 6.5940's labs for 32 x 32 RGB images: eight 3x3 convolutions with batch norm and ReLU, four
 * max-pools, a 2x2 average pool and a linear classifier; 9,228,362 parameters, 605,754,368 multiply-accumulates.
 * Given parameters say its widths and classes themselves, and may carry the `module.` of PyTorch's DataParallel.
 *
 * @returns the graph with its parameters; without `parameters` they are all zero (train them).
 * @throws LloydError when a parameter is missing or has another shape.
 * @example
 * const model = vgg({ parameters: readSafetensors(bytes).tensors });
 */
export function vgg({ parameters: given, widthDivisor, ...options }: VggOptions = {}): ImageModel {
  const parameters = given instanceof Map ? withoutPrefix(given) : given;
  const divisor = widthDivisor ?? 1;
  check(
    Number.isInteger(divisor) && divisor >= 1 && 64 % divisor === 0,
    'widthDivisor must be a divisor of 64',
    widthDivisor,
  );
  const rowsOf = (name: string): number | undefined => {
    const rows = parameters instanceof Map ? parameters.get(`${name}.weight`)?.dims?.[0] : undefined;
    return Number.isInteger(rows) && rows > 0 ? rows : undefined;
  };
  const classes = options.classes ?? rowsOf('classifier') ?? 10;
  check(Number.isInteger(classes) && classes >= 1, 'classes must be a positive integer', classes);
  const nodes: ImageNode[] = [];
  let last = 'input';
  const add = (node: ImageNode) => {
    nodes.push(node);
    last = node.name;
  };
  const widths: number[] = [];
  let conv = 0;
  let pool = 0;
  for (const layer of CHANNELS) {
    if (layer === 'pool') {
      add({ op: 'maxPool', name: `backbone.pool${pool++}`, inputs: [last], kernel: [2, 2], strides: [2, 2] });
      continue;
    }
    const own = widthDivisor === undefined ? rowsOf(`backbone.conv${conv}`) : undefined;
    const outChannels = own ?? layer / divisor;
    widths.push(outChannels);
    add({
      op: 'conv2d',
      name: `backbone.conv${conv}`,
      inputs: [last],
      kernel: [3, 3],
      pads: [1, 1, 1, 1],
      outChannels,
    });
    add({ op: 'batchNorm', name: `backbone.bn${conv}`, inputs: [last] });
    add({ op: 'relu', name: `backbone.relu${conv++}`, inputs: [last] });
  }
  add({ op: 'averagePool', name: 'backbone.avgpool', inputs: [last], kernel: [2, 2], strides: [2, 2] });
  add({ op: 'flatten', name: 'flatten', inputs: [last] });
  add({ op: 'linear', name: 'classifier', inputs: [last], outFeatures: classes });
  const graph: ImageGraph = {
    name: nameOf(widths),
    input: { name: 'input', height: 32, width: 32, channels: 3 },
    nodes,
    output: 'classifier',
  };
  return { graph, parameters: parameters ? checked(graph, parameters) : zeros(graph) };
}

function checked(
  graph: ImageGraph,
  parameters: ReadonlyMap<string, Tensor | FileTensor>,
): Map<string, Tensor> {
  checkMap(parameters, `${graph.name}: parameters`);
  const kept = new Map<string, Tensor>();
  for (const [name, dims] of parameterShapes(graph)) {
    const tensor = parameters.get(name);
    check(
      tensor,
      `${graph.name} needs the parameter ${name}`,
      `only ${[...parameters.keys()].slice(0, 4).join(', ')}, ...`,
    );
    check(
      tensor.dims.length === dims.length && dims.every((d, i) => d === tensor.dims[i]),
      `${graph.name}: ${name} must have the shape ${dims.join(' x ')}`,
      tensor.dims.join(' x '),
    );
    // Checkpoints also come in float64 and bfloat16; the kernels take float32, and float16 is kept for its size.
    const isFloat = tensor.dtype === 'float32' || tensor.dtype === 'float16';
    const data = isFloat ? tensor.data : toFloat32(tensor as FileTensor);
    kept.set(name, { dtype: isFloat ? tensor.dtype : 'float32', dims, data } as Tensor);
  }
  return kept;
}

function zeros(graph: ImageGraph): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [name, dims] of parameterShapes(graph)) {
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
    if (/running_var$|bn\d+\.weight$/.test(name)) data.fill(1);
    tensors.set(name, { dtype: 'float32', dims, data });
  }
  return tensors;
}

/** `vgg`, `vgg/8` for an eighth of every width, or the widths themselves. */
function nameOf(widths: readonly number[]): string {
  const full = CHANNELS.filter((layer) => layer !== 'pool');
  const divisor = full[0] / widths[0];
  const isDivided = Number.isInteger(divisor) && widths.every((width, i) => width * divisor === full[i]);
  if (!isDivided) return `vgg(${widths.join(',')})`;
  return divisor === 1 ? 'vgg' : `vgg/${divisor}`;
}

/** What wrappers of a network put before every name: PyTorch's DataParallel, and torch.compile. */
const PREFIXES = ['module.', '_orig_mod.'];

/** The parameters by the network's own names; those of another network keep the names they have. */
function withoutPrefix<T>(parameters: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  let bare = parameters;
  for (;;) {
    const names = [...bare.keys()];
    const prefix = PREFIXES.find((each) => names.length > 0 && names.every((name) => name.startsWith(each)));
    if (!prefix) return bare.has('backbone.conv0.weight') ? bare : parameters;
    bare = new Map([...bare].map(([name, value]) => [name.slice(prefix.length), value]));
  }
}
