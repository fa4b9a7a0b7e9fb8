/* A partner's counter: the camera reads a code where the browser can, a photo is made small before it is sent. Without either the form works. */
"use strict";
(() => {
  const scan = document.getElementById("scan");
  const video = document.getElementById("scanner");
  const form = document.getElementById("code-form");
  let stream = null;

  function stop() {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    video.hidden = true;
    scan.firstChild.textContent = scan.dataset.start;
  }

  async function look(detector) {
    if (!stream) return;
    let found = [];
    try {
      found = await detector.detect(video);
    } catch {
      // A frame that is not there yet.
    }
    if (found.length) {
      form.elements.code.value = found[0].rawValue;
      if (navigator.vibrate) navigator.vibrate(60);
      stop();
      form.requestSubmit();
      return;
    }
    setTimeout(() => look(detector), 120);
  }

  async function start() {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      // No camera, or none for us: the photo and the keyboard are left.
      scan.hidden = true;
      return;
    }
    video.srcObject = stream;
    video.hidden = false;
    scan.firstChild.textContent = scan.dataset.stop;
    await video.play();
    look(new window.BarcodeDetector({ formats: ["qr_code"] }));
  }

  if (scan && "BarcodeDetector" in window && navigator.mediaDevices) {
    scan.dataset.start = scan.textContent;
    scan.hidden = false;
    scan.addEventListener("click", () => (stream ? stop() : start()));
    window.addEventListener("pagehide", () => stream && stop());
  }

  // A photo of twelve megapixels over a bad network is a minute lost: the code needs a tenth of it.
  const photo = document.querySelector("[data-photo]");
  if (photo) {
    photo.addEventListener("change", async () => {
      if (!photo.files.length) return;
      try {
        const image = await createImageBitmap(photo.files[0]);
        const scale = Math.min(1, 1600 / Math.max(image.width, image.height));
        const canvas = document.createElement("canvas");
        canvas.width = Math.round(image.width * scale);
        canvas.height = Math.round(image.height * scale);
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
        const files = new DataTransfer();
        files.items.add(new File([small], "code.jpg", { type: "image/jpeg" }));
        photo.files = files.files;
      } catch {
        // Sent as it is.
      }
      photo.form.requestSubmit();
    });
  }
})();
