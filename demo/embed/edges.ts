// The edges of a picture by an int8 convolution: what a loop over a camera's frames records. No pixel comes to the CPU.
import { type Call, defineKernel, type Int8Operation, prepareConv2dInt8 } from 'lloyd';

/** A kernel of the page's own. uint8 and int8 are 128 apart, which is the top bit of each byte of a pixel's word. */
const toggleSigns = defineKernel({
  name: 'toggle-signs',
  wgsl: [
    `struct Params { count: u32 }
override WORKGROUP_SIZE: u32 = 64u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * WORKGROUP_SIZE;
  if (index < params.count) {
    output[index] = input[index] ^ 0x80808080u;
  }
}`,
  ],
  bindings: { input: { access: 'read', type: 'u32' }, output: { access: 'write', type: 'u32' } },
  params: { count: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64 } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});

/** Calls that turn the RGBA bytes in `pixels` into those of `edges`, as often as they are recorded. */
export interface Edges {
  pixels: GPUBuffer;
  edges: GPUBuffer;
  calls: readonly Call[];
  /** Of the kernels that the convolution runs on. */
  family: Int8Operation['family'];
  destroy(): void;
}

/** Red, green and blue: four times each less its four neighbours, around grey. Alpha stays 255. */
export async function prepareEdges(device: GPUDevice, width: number, height: number): Promise<Edges> {
  const laplacian = [0, -1, 0, -1, 4, -1, 0, -1, 0];
  const itself = [0, 0, 0, 0, 1, 0, 0, 0, 0];
  const conv = await prepareConv2dInt8(
    device,
    {
      dtype: 'int8',
      dims: [4, 1, 3, 3],
      data: Int8Array.from([...laplacian, ...laplacian, ...laplacian, ...itself]),
    },
    {
      input: [1, height, width, 4],
      groups: 4,
      pads: [1, 1, 1, 1],
      inputZeroPoint: -128,
      outputScale: 1,
      outputZeroPoint: 0,
    },
  );
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = () => {
    return device.createBuffer({ size: width * height * 4, usage: STORAGE | COPY_SRC | COPY_DST });
  };
  const [pixels, input, output, edges] = [buffer(), buffer(), buffer(), buffer()];
  const toggle = await toggleSigns.create(device);
  const params = { count: width * height };
  const calls = [
    toggle.bind({ input: pixels, output: input }, params),
    ...conv.bind({ input, output }),
    toggle.bind({ input: output, output: edges }, params),
  ];
  const owned = [...calls, conv, pixels, input, output, edges];
  return {
    pixels,
    edges,
    calls,
    family: conv.family,
    destroy() {
      for (const each of owned) each.destroy();
    },
  };
}
