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

/** A device after one was lost, which takes the browser a moment. */
async function anotherDevice(): Promise<GPUDevice> {
  for (let tries = 0; ; tries++) {
    const adapter = await navigator.gpu.requestAdapter();
    if (adapter || tries > 50) return adapter!.requestDevice();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Shows a camera's frames and their edges; goes on unseen where a browser loses its device over the first one it shows. */
async function loop(device: GPUDevice) {
  start.disabled = true;
  // Loaded when asked for: it brings all that runs networks.
  const { showFrames } = await import('./camera.ts');
  const canvases = [...document.querySelectorAll('canvas')];
  let count = 0;
  for (const shown of [true, false]) {
    const own = shown ? device : await anotherDevice();
    const { show, family } = await showFrames(own, canvases[0], shown ? canvases : []);
    let lost = false;
    own.lost.then(() => {
      lost = true;
    });
    while (!lost) {
      const from = show(count++);
      frames.textContent = `${count} frames from ${from}, ${family} kernels${shown ? '' : ', none shown'}`;
      await new Promise(requestAnimationFrame);
    }
  }
  frames.textContent += ': the device was lost.';
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
