-- The labels of the older and the newer scores: a confusion matrix with a row for each pair.
CREATE OR REPLACE TEMPORARY VIEW stories_label_flips AS
SELECT
  labels_before,
  labels_after,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER (PARTITION BY labels_before) AS share_of_before,
  labels_before <> labels_after AS flipped
FROM stories_changed_paragraphs AS changed_paragraphs
GROUP BY
  labels_before,
  labels_after
