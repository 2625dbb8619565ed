// The smallest way in: your device, your buffers, your encoder. lloyd only records into your pass.
import { dequantizeLinear, quantizeLinear } from 'lloyd/kernels';

/** Quantizes floats to int8 codes and back, in one pass of the caller's encoder. */
export async function roundTrip(
  device: GPUDevice,
  values: Float32Array,
  step: number,
): Promise<Float32Array> {
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  const buffer = (size: number) => device.createBuffer({ size, usage: STORAGE | COPY_DST | COPY_SRC });
  const count = values.length;
  const input = buffer(count * 4);
  const scale = buffer(4);
  const zeroPoint = buffer(4); // new buffers are zero
  const codes = buffer(Math.ceil(count / 4) * 4);
  const output = buffer(count * 4);
  const readback = device.createBuffer({ size: count * 4, usage: MAP_READ | COPY_DST });
  device.queue.writeBuffer(input, 0, values as Float32Array<ArrayBuffer>);
  device.queue.writeBuffer(scale, 0, Float32Array.of(step));

  // Compiled and bound once, encoded as often as you like.
  const quantize = await quantizeLinear.create(device);
  const dequantize = await dequantizeLinear.create(device);
  const params = { count, axisSize: 1, axisStride: count };
  const calls = [
    quantize.bind({ input, scale, zeroPoint, output: codes }, params),
    dequantize.bind({ input: codes, scale, zeroPoint, output }, params),
  ];

  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const call of calls) call.encode(pass);
  pass.end();
  encoder.copyBufferToBuffer(output, 0, readback, 0, count * 4);
  device.queue.submit([encoder.finish()]);

  await readback.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(readback.getMappedRange().slice(0));
  readback.unmap();
  for (const own of [...calls, input, scale, zeroPoint, codes, output, readback]) own.destroy();
  return result;
}
