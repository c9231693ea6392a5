-- One row for each paragraph that both tables score with the same text.
--
-- id: the id of the paragraph
-- document: the story, or NULL
-- position: the position in the story, from 0, or NULL
-- text_sha256: SHA-256 of the text, in hexadecimal
-- label_before: the emotion with the highest probability in the older scores
-- label_after: the emotion with the highest probability in the newer scores
-- flipped: whether the two labels differ
-- shift: the total variation distance of the probabilities: 0 (equal) to 1
-- model_before: name, version, precision and policy of the older score
-- model_after: name, version, precision and policy of the newer score
SELECT
  scores.id,
  scores.document,
  scores.position,
  scores.text_sha256,
  scores_before.label AS label_before,
  scores.label AS label_after,
  scores_before.label <> scores.label AS flipped,
  TOTAL_VARIATION(scores_before, scores) AS shift,
  MODEL_OF(scores_before) AS model_before,
  MODEL_OF(scores) AS model_after
FROM scores
JOIN scores_before ON scores_before.id = scores.id AND scores_before.text_sha256 = scores.text_sha256
WHERE scores.deleted_at IS NULL AND scores_before.deleted_at IS NULL
