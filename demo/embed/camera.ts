// Frames from a camera to the screen on the GPU alone: recorded anew for each, never waited for, and no pixel is read back.
import { defineKernel, recordCalls } from 'lloyd';
import { prepareEdges } from './edges.ts';
import { prepareFinder } from './finder.ts';

/** Where a frame's pixels come from. */
interface Camera {
  what: string;
  /** What a network's preprocessing reads. */
  source: GPUTexture | GPUBuffer;
  /** Brings a frame to the GPU, and its bytes into `pixels`. */
  record(encoder: GPUCommandEncoder, frame: number): void;
}

const middleOf = (frame: number) => 0.5 + 0.3 * Math.sin(frame / 20);

/** A disc that swings, on a canvas: what stands for a camera. A <video> of getUserMedia is copied the same way. */
function canvasCamera(device: GPUDevice, pixels: GPUBuffer, width: number, height: number): Camera {
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  // The copy from a canvas wants the first two.
  const { COPY_DST, RENDER_ATTACHMENT, TEXTURE_BINDING, COPY_SRC } = GPUTextureUsage;
  const usage = COPY_DST | RENDER_ATTACHMENT | TEXTURE_BINDING | COPY_SRC;
  const texture = device.createTexture({ size: [width, height], format: 'rgba8unorm', usage });
  return {
    what: 'a texture',
    source: texture,
    record(encoder, frame) {
      context.fillStyle = '#204060';
      context.fillRect(0, 0, width, height);
      context.fillStyle = '#f0c040';
      context.beginPath();
      context.arc(width * middleOf(frame), height / 2, height / 4, 0, 2 * Math.PI);
      context.fill();
      device.queue.copyExternalImageToTexture({ source: context.canvas }, { texture }, [width, height]);
      // Rows of a texture are copied by 64 pixels.
      encoder.copyTextureToBuffer({ texture }, { buffer: pixels, bytesPerRow: width * 4 }, [width, height]);
    },
  };
}

/** The same disc by a kernel, for where a canvas can't be copied. */
const disc = defineKernel({
  name: 'disc',
  wgsl: [
    `struct Params { width: u32, count: u32 }
override WORKGROUP_SIZE: u32 = 64u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> middle: array<f32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  let index = id.x + id.y * grid.x * WORKGROUP_SIZE;
  if (index < params.count) {
    let at = vec2f(vec2u(index % params.width, index / params.width)) + 0.5;
    let height = f32(params.count / params.width);
    let centre = vec2f(f32(params.width) * middle[0], height / 2.0);
    pixels[index] = select(0xff604020u, 0xff40c0f0u, distance(at, centre) < height / 4.0);
  }
}`,
  ],
  bindings: { middle: { access: 'read', type: 'f32' }, pixels: { access: 'write', type: 'u32' } },
  params: { width: 'u32', count: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64 } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});

async function kernelCamera(
  device: GPUDevice,
  pixels: GPUBuffer,
  width: number,
  height: number,
): Promise<Camera> {
  const { STORAGE, COPY_DST } = GPUBufferUsage;
  const middle = device.createBuffer({ size: 4, usage: STORAGE | COPY_DST });
  const drawn = (await disc.create(device)).bind({ middle, pixels }, { width, count: width * height });
  return {
    what: 'a buffer',
    source: pixels,
    record(encoder, frame) {
      device.queue.writeBuffer(middle, 0, Float32Array.of(middleOf(frame)));
      recordCalls(encoder, [drawn]);
    },
  };
}

/**
 * What shows a frame on the first of two canvases, marked where a network finds the disc, and its edges on the second; on
 * neither where there are none. Rows are whole 64 pixels.
 */
export async function showFrames(
  device: GPUDevice,
  { width, height }: { width: number; height: number },
  canvases: readonly HTMLCanvasElement[],
) {
  const { pixels, edges, calls, family } = await prepareEdges(device, width, height);
  const fallback = await kernelCamera(device, pixels, width, height);
  let camera = canvasCamera(device, pixels, width, height);
  const sources = [camera.source, fallback.source];
  const finder = await prepareFinder(device, sources, pixels, { width, height });
  const contexts = canvases.map((canvas) => {
    const context = canvas.getContext('webgpu')!;
    const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
    context.configure({ device, format: 'rgba8unorm', usage });
    return context;
  });
  const show = (frame: number) => {
    const encoder = device.createCommandEncoder();
    try {
      camera.record(encoder, frame);
    } catch {
      // Some software adapters refuse to copy a canvas, and that at any frame.
      camera = fallback;
      camera.record(encoder, frame);
    }
    recordCalls(encoder, calls);
    finder.find(encoder, sources.indexOf(camera.source));
    finder.mark(encoder);
    for (const [i, context] of contexts.entries()) {
      const source = { buffer: [pixels, edges][i], bytesPerRow: width * 4 };
      encoder.copyBufferToTexture(source, { texture: context.getCurrentTexture() }, [width, height]);
    }
    device.queue.submit([encoder.finish()]);
    return camera.what;
  };
  return { show, family };
}
