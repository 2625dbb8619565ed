// Frames from a camera to the screen on the GPU alone: recorded anew for each, never waited for, and no pixel is read back.
import { defineKernel, recordCalls } from 'lloyd';
import { prepareEdges } from './edges.ts';

/**
 * What stands for a camera: a disc that swings. A <video> of getUserMedia would come by `copyExternalImageToTexture` and
 * `copyTextureToBuffer` into the same pixels.
 */
const disc = defineKernel({
  name: 'disc',
  wgsl: [
    `struct Params { width: u32, count: u32 }
override WORKGROUP_SIZE: u32 = 64u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> frame: array<u32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * WORKGROUP_SIZE;
  if (index < params.count) {
    let at = vec2f(vec2u(index % params.width, index / params.width));
    let height = f32(params.count / params.width);
    let middle = vec2f(f32(params.width) * (0.5 + 0.3 * sin(f32(frame[0]) / 20.0)), height / 2.0);
    pixels[index] = select(0xff604020u, 0xff40c0f0u, distance(at, middle) < height / 4.0);
  }
}`,
  ],
  bindings: { frame: { access: 'read', type: 'u32' }, pixels: { access: 'write', type: 'u32' } },
  params: { width: 'u32', count: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64 } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});

/**
 * What shows a frame on `camera` and its edges on `screen`, canvases of one size; rows of a texture are copied by 64
 * pixels.
 */
export async function showEdges(device: GPUDevice, camera: HTMLCanvasElement, screen: HTMLCanvasElement) {
  const { width, height } = screen;
  const { pixels, edges, calls, family } = await prepareEdges(device, width, height);
  const [from, to] = [camera, screen].map((canvas) => {
    const context = canvas.getContext('webgpu')!;
    const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
    context.configure({ device, format: 'rgba8unorm', usage });
    return context;
  });
  const { STORAGE, COPY_DST } = GPUBufferUsage;
  const frame = device.createBuffer({ size: 4, usage: STORAGE | COPY_DST });
  const drawn = (await disc.create(device)).bind({ frame, pixels }, { width, count: width * height });

  const show = (count: number) => {
    device.queue.writeBuffer(frame, 0, Uint32Array.of(count));
    const encoder = device.createCommandEncoder();
    recordCalls(encoder, [drawn, ...calls]);
    for (const [buffer, context] of [
      [pixels, from],
      [edges, to],
    ] as const) {
      const texture = context.getCurrentTexture();
      encoder.copyBufferToTexture({ buffer, bytesPerRow: width * 4 }, { texture }, [width, height]);
    }
    device.queue.submit([encoder.finish()]);
  };
  return { show, family };
}
