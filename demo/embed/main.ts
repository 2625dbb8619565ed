import { showEdges } from './camera.ts';
import { roundTrip } from './own-device.ts';

const text = (values: Float32Array) => [...values].map((value) => value.toFixed(2)).join('  ');
const own = document.getElementById('own')!;
const shared = document.getElementById('shared')!;
const start = document.querySelector<HTMLButtonElement>('#start')!;
const frames = document.getElementById('frames')!;
const adapter = await navigator.gpu?.requestAdapter();
if (!adapter) own.textContent = 'This example needs WebGPU.';
else {
  const device = await adapter.requestDevice();
  const values = Float32Array.of(-1.4, -0.26, 0, 0.26, 0.74, 200);
  own.textContent = `${text(values)}\n${text(await roundTrip(device, values, 0.5))}`;
  start.onclick = () => loop(device);
}

/** Shows edges frame by frame. */
async function loop(device: GPUDevice) {
  start.disabled = true;
  const [camera, edges] = document.querySelectorAll('canvas');
  const { show, family } = await showEdges(device, camera, edges);
  let count = 0;
  const next = () => {
    show(count++);
    frames.textContent = `${count} frames, ${family} kernels`;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}

document.querySelector('button')!.addEventListener('click', async () => {
  shared.textContent = 'Loading tfjs…';
  try {
    const { quantizeActivations } = await import('./shared-device.ts');
    const { before, after } = await quantizeActivations();
    shared.textContent = `${text(before)}\n${text(after)}`;
  } catch (error) {
    shared.textContent = (error as Error).message;
  }
});
