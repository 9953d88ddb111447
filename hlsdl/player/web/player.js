// Plays the bundle that this server serves, and says plainly when it cannot.
// Shaka Player does the playing and draws the controls; without it the browser's own HLS is tried.
"use strict";

const PLAYLIST = new URL("index.m3u8", document.baseURI).href;
const RETRY_SECONDS = 3;

const byId = (id) => document.getElementById(id);
const video = byId("video");

let about = { title: "", state: "" };

// Shows a message. When there is no picture to go on with, it takes the place of the picture.
function say(title, text, { detail = "", canRetry = true } = {}) {
  byId("message-title").textContent = title;
  byId("message-text").textContent = text;
  byId("message-detail").textContent = detail;
  byId("retry").hidden = !canRetry;
  byId("message").hidden = false;
  const hasPicture = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  document.body.classList.toggle("failed", !hasPicture);
  byId("elsewhere").open = !hasPicture;
}

function sayServerStopped() {
  say("The server has stopped", "“hlsdl play” is no longer running. Start it again, and open the new address.");
}

function unsay() {
  byId("message").hidden = true;
  document.body.classList.remove("failed");
}

// Returns whether the server is still there.
async function readAbout() {
  try {
    about = await (await fetch("page/about.json")).json();
  } catch {
    sayServerStopped();
    return false;
  }
  document.title = about.title;
  byId("title").textContent = about.title;
  byId("growing").hidden = about.state !== "partial";
  return true;
}

// What the stored playlists declare, for messages: codecs, and protection that needs a licence.
async function readDeclared() {
  const main = await (await fetch(PLAYLIST)).text();
  const codecs = [...main.matchAll(/CODECS="([^"]*)"/g)].flatMap((match) => match[1].split(","));
  const uris = [...main.matchAll(/^(?!#)\S.*$/gm)].map((match) => match[0].trim());
  const texts = await Promise.all(uris.map(async (uri) => (await fetch(new URL(uri, PLAYLIST))).text()));
  const keys = texts.concat(main).flatMap((text) => text.match(/^#EXT-X-(?:SESSION-)?KEY:.*$/gm) ?? []);
  const isProtected = keys.some((key) => /METHOD=SAMPLE-AES/.test(key) || /KEYFORMAT="(?!identity")/.test(key));
  return { codecs: [...new Set(codecs.map((codec) => codec.trim()))], isProtected };
}

async function explain(error) {
  const { Category, Code } = shaka.util.Error;
  const number = error.code ? `Shaka Player error ${error.code}` : String(error);
  if (error.code === Code.HTTP_ERROR || error.code === Code.TIMEOUT) {
    sayServerStopped();
    return;
  }
  if (error.code === Code.BAD_HTTP_STATUS) {
    const name = String(error.data?.[0] ?? "").split("/").slice(4).join("/");
    say(
      "A part of this stream is not stored",
      "Run “hlsdl fetch” again to complete the bundle, or “hlsdl repair” to mend it.",
      { detail: `Missing: ${name}` },
    );
    return;
  }
  // What the browser's own decryption throws when the padding is wrong.
  if (error.name === "OperationError") {
    say("This stream cannot be decrypted", "A stored key does not fit. “hlsdl verify” says more.", { detail: number });
    return;
  }
  // Only to say more: when even that cannot be read, the message does without.
  const declared = await readDeclared().catch(() => ({ codecs: [], isProtected: false }));
  const detail = (declared.codecs.length ? `Codecs: ${declared.codecs.join(", ")}. ` : "") + number;
  if (declared.isProtected || error.category === Category.DRM || error.code === Code.HLS_KEYFORMATS_NOT_SUPPORTED) {
    say("This stream is protected", "Its keys belong to a DRM system, and this page cannot ask for a licence.", { detail });
  } else if (error.category === Category.MANIFEST || error.category === Category.MEDIA) {
    say(
      "This browser cannot play this stream",
      "It may lack a codec that the stream uses. Another browser or player may have it.",
      { detail },
    );
  } else {
    say("Playing failed", "Try again, or use another player.", { detail });
  }
}

// A bundle that is still being fetched lacks the parts that come later: wait for them.
function waitForMore(player) {
  say("Waiting for the download", "The next part is not stored yet; playing goes on when it is.", { canRetry: false });
  setTimeout(async () => {
    if (await readAbout()) player.retryStreaming();
  }, RETRY_SECONDS * 1000);
}

function onPlayerError(player, error) {
  if (error.severity === shaka.util.Error.Severity.RECOVERABLE) return;
  if (error.code === shaka.util.Error.Code.BAD_HTTP_STATUS && about.state === "partial") {
    waitForMore(player);
  } else {
    explain(error);
  }
}

// Stored renditions are told apart by the names their source gave them, where it gave any.
function labelFormat(tracks) {
  const { LABEL, LANGUAGE } = shaka.ui.Overlay.TrackLabelFormat;
  return tracks.length && tracks.every((track) => track.label) ? LABEL : LANGUAGE;
}

const CONTROLS = {
  controlPanelElements: ["play_pause", "mute", "volume", "time_and_duration", "spacer", "captions", "language", "quality", "overflow_menu", "fullscreen"],
  topControlPanelElements: [],
  overflowMenuButtons: ["playback_rate", "loop", "picture_in_picture"],
  contextMenuElements: ["loop", "picture_in_picture", "statistics"],
  enableKeyboardPlaybackControlsInWindow: true,
  customContextMenu: true,
  castReceiverAppId: "",
  castSenderUrl: "",
};

async function playWithShaka() {
  shaka.polyfill.installAll();
  if (!shaka.Player.isBrowserSupported()) {
    playNatively("This browser is too old for the player on this page.");
    return;
  }
  const player = new shaka.Player();
  const overlay = new shaka.ui.Overlay(player, byId("stage"), video);
  overlay.configure(CONTROLS);
  // Loopback is fast: begin with the best that is stored.
  player.configure({ abr: { defaultBandwidthEstimate: 1e9 } });
  player.addEventListener("error", (event) => onPlayerError(player, event.detail));
  video.addEventListener("playing", unsay);
  window.player = player;
  try {
    await player.attach(video);
    await told;
    // What is still being fetched looks like a live event, whose players would begin near its end.
    await player.load(PLAYLIST, about.state === "partial" ? 0 : null);
    overlay.configure({
      trackLabelFormat: labelFormat(player.getAudioTracks()),
      textTrackLabelFormat: labelFormat(player.getTextTracks()),
    });
    document.body.dataset.ready = "shaka";
  } catch (error) {
    await explain(error);
  }
}

function playNatively(why) {
  video.controls = true;
  if (!video.canPlayType("application/vnd.apple.mpegurl")) {
    say("This page has no player", `${why} Another player can open the address below.`, { canRetry: false });
    return;
  }
  video.addEventListener("error", () => {
    say("This browser cannot play this stream", `${why} Another player can open the address below.`, { detail: video.error.message });
  });
  video.addEventListener("loadeddata", () => {
    say("The browser’s own player is used", `${why} The menus for quality and languages may be missing.`, { canRetry: false });
  });
  video.src = PLAYLIST;
  document.body.dataset.ready = "native";
}

byId("address").textContent = PLAYLIST;
for (const place of document.querySelectorAll("[data-address]")) place.textContent = PLAYLIST;
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(PLAYLIST);
  byId("copy").textContent = "Copied";
});
byId("retry").addEventListener("click", () => location.reload());

const told = readAbout();
if (window.shaka) {
  playWithShaka();
} else {
  playNatively("The player for this page was left out when hlsdl was built, because npm could not run.");
}
