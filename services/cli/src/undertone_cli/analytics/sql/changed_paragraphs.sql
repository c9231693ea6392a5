-- One row for each paragraph that both tables score with the same text.
--
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- text_sha256: SHA-256 of the text, in hexadecimal
-- labels_before: the emotions in the older scores, in alphabetical order, or (no label)
-- labels_after: the emotions in the newer scores, in alphabetical order, or (no label)
-- flipped: whether the labels differ
-- shift: the distance of the probabilities, from 0 (equal) to 1
-- model_before: name, version, precision and policy of the older score
-- model_after: name, version, precision and policy of the newer score
SELECT
  scores.id,
  scores.document,
  scores.position,
  scores.text_sha256,
  LABELS_OF(scores_before) AS labels_before,
  LABELS_OF(scores) AS labels_after,
  LABELS_OF(scores_before) <> LABELS_OF(scores) AS flipped,
  SHIFT() AS shift,
  MODEL_OF(scores_before) AS model_before,
  MODEL_OF(scores) AS model_after
FROM scores
JOIN scores_before ON scores_before.id = scores.id AND scores_before.text_sha256 = scores.text_sha256
WHERE scores.deleted_at IS NULL AND scores_before.deleted_at IS NULL
