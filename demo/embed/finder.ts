// Where the disc is in a picture, by a network: preprocessing, forward pass and mark are recorded for every frame, and
// neither a pixel nor a score comes to the CPU.
import {
  compile,
  createRuntime,
  defineKernel,
  type GraphModel,
  preparePreprocessImage,
  recordCalls,
} from 'lloyd';

/** What the network takes. */
const SIZE = { width: 32, height: 24 };

/** How orange each pixel is, its mean in each column, and the column that has the most. */
const network: GraphModel = {
  graph: {
    name: 'finder',
    opset: 17,
    inputs: [{ name: 'image', dtype: 'float32', shape: [1, 3, SIZE.height, SIZE.width] }],
    outputs: ['column'],
    nodes: [
      { op: 'Conv', name: 'conv', inputs: ['image', 'colour'], outputs: ['mapped'], attributes: {} },
      { op: 'Relu', name: 'relu', inputs: ['mapped'], outputs: ['orange'], attributes: {} },
      {
        ...{ op: 'AveragePool', name: 'pool', inputs: ['orange'], outputs: ['scores'] },
        attributes: { kernel_shape: [SIZE.height, 1] },
      },
      {
        ...{ op: 'ArgMax', name: 'argmax', inputs: ['scores'], outputs: ['column'] },
        attributes: { axis: 3, keepdims: 0 },
      },
    ],
  },
  parameters: new Map([
    ['colour', { dtype: 'float32', dims: [1, 3, 1, 1], data: Float32Array.of(1, 0, -1) }],
  ]),
};

/** A kernel of the page's own: whitens the part of a picture that the column stands for. */
const mark = defineKernel({
  name: 'mark',
  wgsl: [
    `struct Params { width: u32, count: u32, columns: u32 }
override WORKGROUP_SIZE: u32 = 64u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> column: array<u32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * WORKGROUP_SIZE;
  if (index < params.count && index % params.width * params.columns / params.width == column[0]) {
    pixels[index] = 0xffffffffu;
  }
}`,
  ],
  bindings: { column: { access: 'read', type: 'u32' }, pixels: { access: 'write', type: 'u32' } },
  params: { width: 'u32', count: 'u32', columns: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64 } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});

/** A network and all that stands before and behind it, for pictures in some textures and buffers. */
export interface Finder {
  /** Records where the disc is in one of the sources. */
  find(encoder: GPUCommandEncoder, source: number): void;
  /** Records a white line through it into `pixels`. */
  mark(encoder: GPUCommandEncoder): void;
  /** One int32: the column of 32 that the network found. */
  column: GPUBuffer;
  destroy(): void;
}

/**
 * @param sources of pictures: the texture of a camera, or RGBA bytes
 * @param pixels RGBA bytes that are marked
 */
export async function prepareFinder(
  device: GPUDevice,
  sources: readonly (GPUTexture | GPUBuffer)[],
  pixels: GPUBuffer,
  { width, height }: { width: number; height: number },
): Promise<Finder> {
  const runtime = await createRuntime({ device });
  const session = await compile(runtime, network);
  const preprocessing = await preparePreprocessImage(device, { source: { width, height }, size: SIZE });
  const image = runtime.empty(preprocessing.output.byteLength, 'image');
  const column = runtime.empty(4, 'column');
  const preprocess = sources.map((source) => preprocessing.bind({ source, output: image }));
  const params = { width, count: width * height, columns: SIZE.width };
  const marked = (await mark.create(device)).bind({ column, pixels }, params);
  return {
    find(encoder, source) {
      recordCalls(encoder, [preprocess[source]]);
      session.encode(encoder, { image }, { column });
    },
    mark: (encoder) => recordCalls(encoder, [marked]),
    column,
    destroy() {
      for (const each of [...preprocess, marked, preprocessing, session, image, column]) each.destroy();
    },
  };
}
