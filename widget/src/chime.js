/** One soft note for a new message. Silent until the person allows it, and when the browser does not. */

let audio;

export function chime() {
  audio ??= new AudioContext();
  audio.resume();
  const tone = new OscillatorNode(audio, { frequency: 660 });
  const volume = new GainNode(audio, { gain: 0.1 });
  volume.gain.setTargetAtTime(0, audio.currentTime, 0.1);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 1);
}
