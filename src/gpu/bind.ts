import type { Call } from './call.ts';
import {
  type Bindings,
  type KernelDeclaration,
  type ParamTypes,
  type Resource,
  TEXELS,
} from './declaration.ts';
import { check } from './errors.ts';
import { guardOf } from './guard.ts';
import { copyToTexels, isTexture, texelBytes, texelTexture } from './texels.ts';

/** Makes a compiled kernel's bind group over the caller's resources, its params buffer and the textures it stages. */
export function bind(
  device: GPUDevice,
  declaration: KernelDeclaration<Bindings, ParamTypes>,
  overrides: Record<string, number>,
  pipeline: GPUComputePipeline,
  layout: GPUBindGroupLayout,
  buffers: Record<string, Resource>,
  values: Record<string, number>,
): Call {
  const { name, bindings, params } = declaration;
  const hasParams = Object.keys(params).length > 0;
  const packed = packParams(name, params, values);
  declaration.check?.(name, values, overrides);
  const workgroups = foldWorkgroups(device, name, declaration.workgroups(values, overrides));
  for (const key of Object.keys(buffers)) {
    check(
      key in bindings,
      `${name} binds ${Object.keys(bindings).join(', ')}`,
      key,
      'remove the extra buffer',
    );
  }
  const copies: { from: { buffer: GPUBuffer; offset: number; byteLength: number }; to: GPUTexture }[] = [];
  let uniform: GPUBuffer | undefined;
  const destroy = () => {
    uniform?.destroy();
    for (const { to } of copies) to.destroy();
  };
  const resourceOf = (key: string): GPUBindingResource => {
    const slice: Resource | undefined = buffers[key];
    check(
      slice,
      `${name} needs a buffer for every binding (${Object.keys(bindings).join(', ')})`,
      `no ${key}`,
    );
    const { type } = bindings[key];
    if (isTexture(slice)) {
      check(type.startsWith('texture'), `${name}: ${key} must be a buffer`, 'a texture');
      return slice.createView();
    }
    check(type !== 'texture_2d<f32>', `${name}: ${key} must be a texture`, 'a buffer');
    const resource = 'buffer' in slice ? { ...slice } : { buffer: slice };
    const size = resource.size ?? resource.buffer.size - (resource.offset ?? 0);
    check(
      size <= device.limits.maxStorageBufferBindingSize,
      `${name}: ${key} must fit the adapter's maxStorageBufferBindingSize of ${device.limits.maxStorageBufferBindingSize} bytes`,
      size,
      'split the work, or bind a slice',
    );
    if (type !== TEXELS) return resource;
    const to = texelTexture(device, size, `${name} ${key}`);
    copies.push({ from: { buffer: resource.buffer, offset: resource.offset ?? 0, byteLength: size }, to });
    return to.createView();
  };
  const bindGroup = () => {
    const entries: GPUBindGroupEntry[] = Object.keys(bindings).map((key, index) => ({
      binding: index + (hasParams ? 1 : 0),
      resource: resourceOf(key),
    }));
    if (hasParams) {
      uniform = device.createBuffer({
        label: `${name} params`,
        size: packed.byteLength,
        usage: GPUBufferUsage.UNIFORM,
        mappedAtCreation: true,
      });
      new Uint8Array(uniform.getMappedRange()).set(new Uint8Array(packed));
      uniform.unmap();
      entries.unshift({ binding: 0, resource: { buffer: uniform } });
    }
    return device.createBindGroup({ label: name, layout, entries });
  };
  let group: GPUBindGroup;
  try {
    group = guardOf(device).attempt(`the bind group of ${name}`, bindGroup);
  } catch (error) {
    destroy();
    throw error;
  }
  const [x, y, z] = workgroups;
  let staged = copies.length === 0;
  return {
    kernel: name,
    workgroups,
    encode(pass) {
      if (x * y * z === 0) return;
      check(
        staged,
        `${name}: its texture must be filled before each pass`,
        'encode alone',
        'use recordCalls, or call.stage.record',
      );
      staged = copies.length === 0;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
    },
    ...(copies.length > 0 && {
      stage: {
        bytes: copies.reduce((sum, { to }) => sum + texelBytes(to), 0),
        record(encoder: GPUCommandEncoder) {
          for (const { from, to } of copies) copyToTexels(encoder, from, to);
          staged = true;
        },
      },
    }),
    destroy,
  };
}

function packParams(name: string, types: ParamTypes, values: Record<string, number>): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(Math.max(16, Math.ceil(Object.keys(types).length / 4) * 16)));
  for (const key of Object.keys(values)) {
    check(
      key in types,
      `${name} takes the parameters ${Object.keys(types).join(', ')}`,
      key,
      'remove the extra one',
    );
  }
  for (const [index, [key, type]] of Object.entries(types).entries()) {
    const value = values[key];
    check(typeof value === 'number', `${name} needs a number for every parameter`, `no ${key}`);
    if (type === 'f32') view.setFloat32(index * 4, value, true);
    else {
      const [low, high] = type === 'u32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
      check(
        Number.isInteger(value) && value >= low && value <= high,
        `${name}: ${key} must be an integer from ${low} to ${high}`,
        value,
      );
      if (type === 'u32') view.setUint32(index * 4, value, true);
      else view.setInt32(index * 4, value, true);
    }
  }
  return view.buffer;
}

/** A dispatch wider than the limit continues in y; kernels take `id.x + id.y * num_workgroups.x` as their index. */
function foldWorkgroups(
  device: GPUDevice,
  name: string,
  asked: number | readonly [number, number, number],
): readonly [number, number, number] {
  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  if (typeof asked === 'number') {
    if (asked <= limit) return [asked, 1, 1];
    const rows = Math.ceil(asked / limit);
    check(rows <= limit, `${name} may dispatch at most ${limit}^2 workgroups`, asked, 'split the work');
    return [Math.ceil(asked / rows), rows, 1];
  }
  check(
    asked.every((count) => count <= limit),
    `${name} may dispatch at most ${limit} workgroups in each dimension`,
    asked,
    'split the work',
  );
  return asked;
}
