import { roundTrip } from './own-device.ts';

const out = document.getElementById('out')!;
const adapter = await navigator.gpu?.requestAdapter();
if (!adapter) out.textContent = 'This example needs WebGPU.';
else {
  const device = await adapter.requestDevice();
  const values = Float32Array.of(-1.4, -0.26, 0, 0.26, 0.74, 200);
  const back = await roundTrip(device, values, 0.5);
  out.textContent = `${[...values].map((v) => v.toFixed(2)).join('  ')}\n${[...back].map((v) => v.toFixed(2)).join('  ')}`;
}
